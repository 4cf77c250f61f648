import { connectToNetwork } from "../../../engine/networks.ts";
import { command } from "../../command.ts";
import { openEngine } from "../../open-engine.ts";
import { parseNetworks, parsePriority } from "../run/network-flags.ts";

export const networkConnectCommand = command({
  meta: {
    name: "connect",
    description: "Put a container into one more network",
    usage: "[OPTIONS] NETWORK CONTAINER",
    operands: { minimum: 2, maximum: 2 },
    absent: new Set(["driver-opt", "link", "link-local-ip"]),
    examples: [{ words: "gocker network connect --alias db blue postgres", does: "It is db there, too" }],
  },
  flags: {
    alias: { type: "string", repeated: true, valueHint: "NAME", description: "One more name that it has there" },
    ip: { type: "string", valueHint: "ADDRESS", description: "Its IPv4 address there" },
    ip6: { type: "string", valueHint: "ADDRESS", description: "Its IPv6 address there" },
    "gw-priority": {
      type: "string",
      valueHint: "NUMBER",
      description: "Its way out is by the network with the highest (0)",
    },
  },
  async run({ flags, operands, everywhere }) {
    const [network = "", container = ""] = operands;
    const given = { network: [network], "network-alias": flags.alias, ip: flags.ip, ip6: flags.ip6 };
    const { networks = [] } = parseNetworks({ ...given, "mac-address": undefined }, network);
    const [{ network: name, ...options } = { network }] = networks;
    const priority = flags["gw-priority"];
    const gatewayPriority = priority === undefined ? undefined : parsePriority("--gw-priority", priority);
    await connectToNetwork(openEngine(everywhere), name, container, {
      ...options,
      ...(gatewayPriority !== undefined && { gatewayPriority }),
    });
    return 0;
  },
});
