import { startContainer } from "../../../runtime/start.ts";
import { ociCommand } from "../command.ts";

export const startCommand = ociCommand({
  meta: {
    name: "start",
    description: "Let the program of a container begin that was created",
    usage: "ID",
    operands: { minimum: 1, maximum: 1 },
  },
  flags: {},
  async run({ operands, store }) {
    using container = await store.lock(operands[0] ?? "");
    await startContainer(container);
    return 0;
  },
});
