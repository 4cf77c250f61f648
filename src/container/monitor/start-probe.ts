import { availableCapabilities } from "../../linux/capabilities.ts";
import { createPipe, openNull } from "../../linux/fd.ts";
import { execInContainer } from "../../runtime/exec.ts";
import { buildExecProcess, usersBelow } from "../exec-process.ts";
import type { ContainerRecord } from "../record.ts";
import { RecordedContainer } from "../recorded-container.ts";
import type { RunningProbe } from "./health.ts";

/**
 * Starts the program of a health check in a container, as `gocker exec` would.
 * @param directory the container's
 * @returns undefined when the container does not run, or is paused
 * @throws ExecutionError the program cannot be executed; SystemCallError
 */
export async function startProbe(
  record: ContainerRecord,
  directory: string,
  args: readonly string[],
): Promise<RunningProbe | undefined> {
  const container = new RecordedContainer(record, directory);
  if (container.status() !== "running") return undefined;
  using cleanup = new DisposableStack();
  const pipe = cleanup.use(createPipe());
  using nothing = openNull();
  const wishes = { command: args, terminal: false, environment: [], privileged: false };
  const started = await execInContainer(container, {
    process: (root) =>
      buildExecProcess({
        wishes,
        record,
        spec: container.readSpec(),
        database: usersBelow(root),
        availableCapabilities: availableCapabilities(),
      }),
    stdio: [nothing.number, pipe.writer.number, pipe.writer.number],
    plainOutput: false,
    newKeyring: true,
    preservedDescriptors: 0,
    ignorePaused: false,
    subCgroups: new Map(),
  });
  pipe.writer.close();
  cleanup.use(started);
  const owned = cleanup.move();
  const { pid, pidfd } = started;
  return { pid, pidfd, output: pipe.reader, [Symbol.dispose]: () => owned.dispose() };
}
