import { readFileSync } from "node:fs";
import { SIGKILL } from "../../../linux/constants.ts";
import { reap, sendSignal } from "../../../linux/process.ts";
import type { Capabilities, Process } from "../../../oci/runtime-spec.ts";
import { parseProcess } from "../../../oci/runtime-spec-parse.ts";
import { parseSubCgroups } from "../../../runtime/cgroup/exec-cgroup.ts";
import { ExecutionError } from "../../../runtime/errors.ts";
import { execInContainer, type ExecOptions } from "../../../runtime/exec.ts";
import type { PlannedProcess } from "../../../runtime/planned-process.ts";
import type { RuntimeContainer } from "../../../runtime/runtime-container.ts";
import { GockerError, InvalidDocumentError, UsageError } from "../../../util/errors.ts";
import { type OciInvocation, ociCommand } from "../command.ts";
import { ForegroundSignals, processStdio, waitFor } from "../foreground.ts";
import { parseUser } from "../numbers.ts";
import { writePidFile } from "../pid-file.ts";
import { pidfdReceiver } from "../pidfd-socket.ts";
import { handedOn } from "../preserved.ts";

const flags = {
  process: {
    type: "string",
    alias: "p",
    valueHint: "FILE",
    description: "The process as the specification has it, as JSON",
  },
  detach: { type: "boolean", alias: "d", description: "Do not wait for its end" },
  tty: { type: "boolean", alias: "t", description: "Give it a terminal" },
  "console-socket": {
    type: "string",
    valueHint: "PATH",
    description: "A unix socket that takes the terminal's master side",
  },
  "pid-file": { type: "string", valueHint: "FILE", description: "Write the number of the process there" },
  "pidfd-socket": {
    type: "string",
    valueHint: "PATH",
    description: "A unix socket that takes a pidfd of the process",
  },
  cwd: { type: "string", valueHint: "DIR", description: "Its working directory" },
  env: { type: "string", alias: "e", repeated: true, valueHint: "NAME=VALUE", description: "Set a variable" },
  user: { type: "string", alias: "u", valueHint: "UID[:GID]", description: "The user that it runs as" },
  "additional-gids": { type: "string", alias: "g", repeated: true, valueHint: "GID", description: "A further group" },
  cap: { type: "string", alias: "c", repeated: true, valueHint: "NAME", description: "A further capability" },
  "no-new-privs": { type: "boolean", description: "Refuse privileges by setuid programs" },
  "preserve-fds": {
    type: "string",
    valueHint: "N",
    description: "Hand on so many descriptors after the standard ones",
  },
  cgroup: {
    type: "string",
    repeated: true,
    valueHint: "[CONTROLLER:]PATH",
    description: "Run it in a cgroup below the container's own, which is there already",
  },
  "ignore-paused": { type: "boolean", description: "Start it in a paused container too" },
} as const;

export const execCommand = ociCommand({
  meta: {
    name: "exec",
    description: "Run a further process in a container",
    usage: "[OPTIONS] ID [COMMAND] [ARG...]",
    operands: { minimum: 1, maximum: Number.POSITIVE_INFINITY, endFlags: true },
    failure: 255,
  },
  flags,
  async run(invocation) {
    const [id = ""] = invocation.operands;
    const given = invocation.flags;
    using container = invocation.store.open(id);
    const process = given.process === undefined ? processOf(container, invocation) : readProcess(given.process);
    const { preservedDescriptors, variables } = handedOn(given["preserve-fds"]);
    using stdio = processStdio({
      terminal: process.terminal === true,
      consoleSocket: given["console-socket"],
      detach: given.detach,
    });
    using receiver = pidfdReceiver(given["pidfd-socket"], "setns");
    using signals = new ForegroundSignals();
    using started = await execute(container, {
      process: () => ({ ...process, env: [...(process.env ?? []), ...variables] }),
      stdio: stdio.descriptors,
      terminalSocket: stdio.terminalSocket,
      plainOutput: true,
      newKeyring: true,
      preservedDescriptors,
      ignorePaused: given["ignore-paused"],
      subCgroups: parseSubCgroups(given.cgroup),
      ...(invocation.isRootless && { warn: invocation.warn }),
    });
    using cleanup = new DisposableStack();
    cleanup.defer(() => {
      if (sendSignal(started.pidfd, SIGKILL)) reap(started.pid);
    });
    writePidFile(given["pid-file"], started.pid);
    receiver?.send(started.pidfd);
    if (!given.detach) await stdio.attach();
    cleanup.move();
    if (given.detach) return 0;
    signals.passTo(started.pidfd);
    const code = await waitFor(started);
    await stdio.drain();
    return code;
  },
});

/** In runc's words, by which callers know what could not be executed. */
async function execute(container: RuntimeContainer, options: ExecOptions): Promise<PlannedProcess> {
  try {
    return await execInContainer(container, options);
  } catch (error) {
    if (!(error instanceof ExecutionError)) throw error;
    const { code, program, reason, hint } = error;
    throw new GockerError(code, `exec ${program}: ${reason}`, { hint, cause: error });
  }
}

function readProcess(path: string): Process {
  try {
    return parseProcess(readFileSync(path));
  } catch (error) {
    if (error instanceof InvalidDocumentError) throw error;
    throw new UsageError(`the file of --process cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

/** The container's own process with other words, and what the flags say. */
function processOf(container: RuntimeContainer, { flags: given, operands }: OciInvocation<typeof flags>): Process {
  const [, ...args] = operands;
  if (args.length === 0) throw new UsageError("exec needs a command, or a process with --process");
  const own = container.readSpec().process;
  if (own === undefined) throw new InvalidDocumentError("process: the container has none whose settings could be used");
  const { consoleSize: _, ...base } = own;
  const { additionalGids = [] } = own.user;
  const nameless = given.env.findIndex((entry) => entry.indexOf("=") < 1);
  if (nameless >= 0) throw new UsageError(`--env needs NAME=VALUE (number ${nameless + 1} of them)`);
  const gids = given["additional-gids"].map((text) => parseUser(text).uid);
  return {
    ...base,
    args,
    terminal: given.tty,
    env: [...(own.env ?? []), ...given.env],
    user: {
      ...own.user,
      ...(given.user !== undefined && parseUser(given.user)),
      additionalGids: [...additionalGids, ...gids],
    },
    ...(given.cwd !== undefined && { cwd: given.cwd }),
    ...(given["no-new-privs"] && { noNewPrivileges: true }),
    ...(given.cap.length > 0 && { capabilities: withCapabilities(own.capabilities, given.cap) }),
  };
}

/** None becomes inheritable (CVE-2022-29162); those that are already become ambient too, as with runc. */
function withCapabilities(own: Capabilities | undefined, added: readonly string[]): Capabilities {
  const names = added.map((name) =>
    name.toUpperCase().startsWith("CAP_") ? name.toUpperCase() : `CAP_${name.toUpperCase()}`,
  );
  const join = (set: readonly string[] | undefined) => [...new Set([...(set ?? []), ...names])];
  return {
    ...own,
    bounding: join(own?.bounding),
    effective: join(own?.effective),
    permitted: join(own?.permitted),
    ambient: [...new Set([...(own?.ambient ?? []), ...names.filter((name) => own?.inheritable?.includes(name))])],
  };
}
