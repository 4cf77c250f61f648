import { resumeContainer } from "../../../runtime/pause.ts";
import { ociCommand } from "../command.ts";

export const resumeCommand = ociCommand({
  meta: {
    name: "resume",
    description: "Let the processes of a paused container go on",
    usage: "ID",
    operands: { minimum: 1, maximum: 1 },
  },
  flags: {},
  async run({ operands, store }) {
    using container = await store.lock(operands[0] ?? "");
    resumeContainer(container);
    return 0;
  },
});
