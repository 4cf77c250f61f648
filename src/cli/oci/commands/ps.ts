import { listProcesses } from "../../../runtime/ps.ts";
import { fullColumns } from "../../output/process-columns.ts";
import { formatProcesses } from "../../output/process-list.ts";
import { formatTable } from "../../output/table.ts";
import { writeOutput } from "../../output/write.ts";
import { ociCommand } from "../command.ts";

export const psCommand = ociCommand({
  meta: {
    name: "ps",
    description: "List the processes of a container, as the host numbers them",
    usage: "[OPTIONS] ID [WORDS FOR PS]",
    // What runc hands on to ps(1) has no meaning here: no program of the host is run.
    operands: { minimum: 1, maximum: Number.POSITIVE_INFINITY, endFlags: true },
  },
  flags: {
    format: {
      type: "enum",
      alias: "f",
      options: ["table", "json"],
      default: "table",
      description: "How to print them",
    },
  },
  async run({ flags, operands, store }) {
    using container = store.open(operands[0] ?? "");
    // What is at its path may be another container's by now.
    using cgroup = container.ownCgroup();
    const list = cgroup === undefined ? undefined : listProcesses(cgroup);
    if (flags.format === "json") writeOutput(`${JSON.stringify(list?.processes.map(({ pid }) => pid) ?? [])}\n`);
    else
      writeOutput(
        list === undefined
          ? formatTable([fullColumns.map(({ heading }) => heading)])
          : formatProcesses(list, fullColumns),
      );
    return 0;
  },
});
