import { pauseContainer } from "../../../runtime/pause.ts";
import { ociCommand } from "../command.ts";

export const pauseCommand = ociCommand({
  meta: {
    name: "pause",
    description: "Stop all processes of a container until it is resumed",
    usage: "ID",
    operands: { minimum: 1, maximum: 1 },
  },
  flags: {},
  async run({ operands, store }) {
    using container = await store.lock(operands[0] ?? "");
    pauseContainer(container);
    return 0;
  },
});
