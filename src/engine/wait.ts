import { dirname } from "node:path";
import { DirectoryWatch } from "../container/directory-watch.ts";
import { pastEvents } from "../container/event-log.ts";
import { RecordedContainer } from "../container/recorded-container.ts";
import type { ContainerRecord } from "../container/record.ts";
import type { ContainerStore } from "../container/records.ts";
import { isHeld } from "../linux/lock.ts";
import { processEnded } from "../linux/process.ts";
import { GockerError, NotFoundError } from "../util/errors.ts";
import type { EngineContext } from "./context.ts";
import { openContainers } from "./reconcile.ts";

/**
 * Waits until a container has ended and nobody works on it any more: one with a restart policy until it is not started
 * again. For one that does not run there is nothing to wait for.
 * @param reference its name, ID, or the beginning of its ID
 * @returns its exit code: 0 when it has never run
 * @throws NotFoundError, UsageError; GockerError it was removed, and how it ended is not known
 */
export async function waitForContainer(
  context: Pick<EngineContext, "root" | "state">,
  reference: string,
): Promise<number> {
  const { containers } = await openContainers(context);
  const id = containers.resolve(reference);
  // Who is done with a container removes its lock's file.
  using watch = new DirectoryWatch(dirname(containers.lockPath(id)));
  for (;;) {
    const record = readIfThere(containers, id);
    if (record === undefined) return exitCodeOfRemoved(context.state, id);
    using process = new RecordedContainer(record, containers.directory(id)).openProcess();
    if (process !== undefined) await processEnded(process);
    else if (isHeld(containers.lockPath(id))) await watch.next();
    else return await finalExitCode(context, containers, id);
  }
}

function readIfThere(containers: ContainerStore, id: string): ContainerRecord | undefined {
  try {
    return containers.read(id);
  } catch (error) {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
}

/** Of a container that nobody works on any more. Read anew: what was read before may have been on its way. */
async function finalExitCode(
  context: Pick<EngineContext, "root" | "state">,
  containers: ContainerStore,
  id: string,
): Promise<number> {
  // A gocker that was killed has left it as running.
  if (readIfThere(containers, id)?.state.status === "running") await openContainers(context);
  const record = readIfThere(containers, id);
  return record === undefined ? exitCodeOfRemoved(context.state, id) : (record.state.exitCode ?? 0);
}

/** `--rm` leaves nothing of a container but its events. */
function exitCodeOfRemoved(state: string, id: string): number {
  let exitCode: number | undefined;
  for (const { Type, Action, Actor } of pastEvents(state)) {
    if (Type === "container" && Action === "die" && Actor.ID === id) exitCode = Number(Actor.Attributes["exitCode"]);
  }
  if (exitCode !== undefined && Number.isInteger(exitCode)) return exitCode;
  throw new GockerError("EXIT_CODE", `container ${id.slice(0, 12)} was removed, and how it ended is not known`);
}
