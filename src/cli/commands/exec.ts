import { defaultDetachKeys, parseDetachKeys } from "../../container/detach-keys.ts";
import { exec, type ExecOptions } from "../../engine/exec.ts";
import { UsageError } from "../../util/errors.ts";
import { command } from "../command.ts";
import type { FlagValues } from "../flags.ts";
import { openEngine } from "../open-engine.ts";

const flags = {
  interactive: { type: "boolean", alias: "i", description: "Give the command gocker's standard input" },
  tty: { type: "boolean", alias: "t", description: "Give it a terminal of the container's" },
  detach: { type: "boolean", alias: "d", description: "Do not wait for its end; nobody sees what it writes" },
  "detach-keys": {
    type: "string",
    valueHint: "KEYS",
    description: `What to type to leave it running, with -it (${defaultDetachKeys})`,
  },
  env: {
    type: "string",
    alias: "e",
    repeated: true,
    valueHint: "KEY[=VALUE]",
    description: "Set a variable; KEY alone passes gocker's own on",
  },
  "env-file": {
    type: "string",
    repeated: true,
    valueHint: "FILE",
    description: "Set the variables of a file, one a line",
  },
  user: {
    type: "string",
    alias: "u",
    valueHint: "USER[:GROUP]",
    description: "User and group, names or numbers, instead of the container's",
  },
  workdir: {
    type: "string",
    alias: "w",
    valueHint: "DIR",
    description: "Working directory in the container, which must be there",
  },
  privileged: { type: "boolean", description: "Grant all capabilities" },
} as const;

export const execCommand = command({
  meta: {
    name: "exec",
    description: "Run a further command in a container that runs",
    usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
    operands: { minimum: 2, maximum: Number.POSITIVE_INFINITY, endFlags: true },
    notes: [
      {
        heading: "What the command has",
        text:
          "What holds the container holds the command too: its namespaces, cgroup, capabilities and system call filter. " +
          "Its environment is the container's, without what is only for the first process (TERM, HOME), and then " +
          "--env-file and -e. Supplementary groups are those of /etc/group as the container has it now.",
      },
      {
        heading: "How it ends",
        text:
          "The command lives on when gocker is killed, as long as it does not mind that its terminal or its pipes are " +
          "closed. Signals to gocker go to the command; the third SIGINT or SIGTERM within two seconds ends gocker, too, " +
          "with exit code 1.",
      },
      {
        heading: "Exit code",
        text:
          "The command's own; 128 and the signal's number when a signal ended it; 127 when it was not found, 126 when " +
          "it could not be executed, 1 when the container does not run, 125 when gocker itself failed. 0 with -d, and " +
          "when the command was left by the detach keys.",
      },
    ],
    examples: [
      { words: "gocker exec -it web sh", does: "A shell beside what runs in the container" },
      { words: "gocker exec -u postgres db psql -c 'select 1'", does: "A command as one of the container's users" },
      { words: "gocker exec -i db psql < dump.sql", does: "A file of the host's as its input" },
      { words: "gocker exec -d web updatedb", does: "A command that is left to itself" },
    ],
  },
  flags,
  async run({ flags: given, operands, everywhere }) {
    const options = execOptions(given, operands);
    return await exec(openEngine(everywhere), options);
  },
});

/** @throws {UsageError} a flag's value is not of its form */
function execOptions(given: FlagValues<typeof flags>, [container = "", ...words]: readonly string[]): ExecOptions {
  const workingDirectory = present(given.workdir);
  if (workingDirectory !== undefined && !workingDirectory.startsWith("/")) {
    throw new UsageError(`invalid --workdir ${JSON.stringify(workingDirectory)}: it is not an absolute path`);
  }
  return {
    container,
    command: words,
    interactive: given.interactive,
    terminal: given.tty,
    detach: given.detach,
    detachKeys: parseDetachKeys(present(given["detach-keys"]) ?? defaultDetachKeys),
    environment: given.env,
    environmentFiles: given["env-file"],
    user: present(given.user),
    workingDirectory,
    privileged: given.privileged,
  };
}

/** Given and empty means not given, as with Docker. */
function present(value: string | undefined): string | undefined {
  return value === "" ? undefined : value;
}
