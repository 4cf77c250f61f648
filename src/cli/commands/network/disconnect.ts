import { disconnectFromNetwork } from "../../../engine/networks.ts";
import { command } from "../../command.ts";
import { openEngine } from "../../open-engine.ts";

export const networkDisconnectCommand = command({
  meta: {
    name: "disconnect",
    description: "Take a container out of a network",
    usage: "[OPTIONS] NETWORK CONTAINER",
    operands: { minimum: 2, maximum: 2 },
    examples: [{ words: "gocker network disconnect blue web", does: "It goes on in its other networks" }],
  },
  flags: {
    force: { type: "boolean", alias: "f", description: "Also where its device cannot be removed" },
  },
  async run({ flags, operands, everywhere }) {
    const [network = "", container = ""] = operands;
    await disconnectFromNetwork(openEngine(everywhere), network, container, { force: flags.force });
    return 0;
  },
});
