import { O_CLOEXEC, O_NOFOLLOW, O_WRONLY, PR_SET_PDEATHSIG, SIGKILL } from "../constants.ts";
import { fromByteString } from "../at.ts";
import type { Extent } from "../copy-tree.ts";
import { systemCallError } from "../errno.ts";
import { openNull, type OwnedFd } from "../fd.ts";
import { processEnded, reap } from "../process.ts";
import { signalName } from "../signals.ts";
import { GockerError } from "../../util/errors.ts";
import { launch } from "./launch.ts";
import { slot, type Step } from "./plan.ts";

/** In whose cgroup something is allocated. */
export interface Allocator {
  /** How a process joins it, and the descriptors that this takes. */
  readonly join: readonly Step[];
  readonly descriptors: readonly number[];
  /** See `LaunchRequest.intoCgroup`. */
  readonly intoCgroup: number | undefined;
}

/** With the NUL at its end. path_resolution(7) */
const longestPath = 4096;

/** A process that gocker has made for a part of its own work was killed. */
export class ProcessKilledError extends GockerError {
  override readonly name = "ProcessKilledError";

  constructor(signal: number) {
    super("PROCESS_KILLED", `the process that did it was killed by ${signalName(signal)}`);
  }
}

/** So that the steps of large trees need not all be in memory at once. */
const extentsAtOnce = 4096;

/**
 * Allocates room for pieces of files, as a process of a cgroup: memory belongs to who allocates it, whoever writes to it
 * later. Files whose path the kernel does not take at once are left out. fallocate(2); cgroup-v2.rst, "Memory Ownership"
 * @param directory that of the paths, in which nobody else works
 * @throws SystemCallError; ProcessKilledError somebody has ended the process, such as the kernel when the cgroup may not have
 *   so much
 */
export async function allocate(directory: OwnedFd, extents: readonly Extent[], by: Allocator): Promise<void> {
  const reachable = extents.filter(({ path }) => path.length < longestPath);
  for (let from = 0; from < reachable.length; from += extentsAtOnce) {
    await allocateSome(directory, reachable.slice(from, from + extentsAtOnce), by);
  }
}

async function allocateSome(directory: OwnedFd, extents: readonly Extent[], by: Allocator): Promise<void> {
  const group = "file system";
  const steps: Step[] = [
    { label: "Die with gocker", group: "process", syscall: "prctl", args: [PR_SET_PDEATHSIG, SIGKILL] },
    ...by.join,
  ];
  const file = slot("file");
  for (const { path, offset, length } of extents) {
    const about = fromByteString(path);
    const name = Buffer.from(`${path}\0`, "latin1");
    const flags = O_WRONLY | O_NOFOLLOW | O_CLOEXEC;
    steps.push(
      {
        label: "Open a file",
        group,
        syscall: "openat",
        args: [directory.number, name, flags],
        result: file,
        path: about,
      },
      { label: "Allocate its content", group, syscall: "fallocate", args: [file, 0, offset, length], path: about },
      { label: "Close it", group, syscall: "close", args: [file] },
    );
  }
  steps.push({ label: "End", group: "process", syscall: "exit_group", args: [0] });
  const descriptors = [directory.number, ...by.descriptors];
  using nothing = openNull();
  const stdio = [nothing.number, nothing.number, nothing.number] as const;
  using started = launch({ namespaces: 0, intoCgroup: by.intoCgroup, steps, stdio, descriptors });
  const { fatal } = await started.status.outcome();
  await processEnded(started.pidfd);
  const ended = reap(started.pid);
  if (fatal !== undefined) throw systemCallError(fatal.step.syscall, { path: fatal.step.path }, fatal.errno);
  if (!("signal" in ended)) return;
  throw new ProcessKilledError(ended.signal);
}
