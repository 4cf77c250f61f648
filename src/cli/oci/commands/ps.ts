import { type ListedProcess, listProcesses } from "../../../runtime/ps.ts";
import { harmless } from "../../output/style.ts";
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
    const processes = listProcesses(container);
    if (flags.format === "json") writeOutput(`${JSON.stringify(processes.map(({ pid }) => pid))}\n`);
    else {
      const head = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"];
      writeOutput(formatTable([head, ...processes.map(row)]));
    }
    return 0;
  },
});

/** As ps(1) shows it with -ef; C is its guess of the processor's use, which is left out. */
function row({ uid, pid, parent, started, terminal, time, command }: ListedProcess): string[] {
  const two = (number: number) => String(number).padStart(2, "0");
  const clock = [Math.floor(time / 3600), Math.floor(time / 60) % 60, time % 60].map(two).join(":");
  const since = `${two(started.getHours())}:${two(started.getMinutes())}`;
  return [
    uid === 0 ? "root" : String(uid),
    String(pid),
    String(parent),
    "0",
    since,
    terminal,
    clock,
    harmless(command),
  ];
}
