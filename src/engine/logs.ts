import { ChangeWatch } from "../container/logs/change-watch.ts";
import type { LogRecord } from "../container/logs/log-record.ts";
import { readLog } from "../container/logs/read-log.ts";
import { existsSync } from "node:fs";
import { logPath } from "../container/logs/log-path.ts";
import { usualLog } from "../container/logs/usual-log.ts";
import { hasMonitor } from "../container/monitor/presence.ts";
import type { ContainerRecord } from "../container/record.ts";
import type { ContainerStore } from "../container/records.ts";
import { FileLock } from "../linux/lock.ts";
import { raisePriority } from "../linux/priority.ts";
import { processState } from "../linux/process-state.ts";
import { ConflictError, NotFoundError } from "../util/errors.ts";
import type { Instant } from "../util/instant.ts";
import type { EngineContext } from "./context.ts";
import { openContainers } from "./reconcile.ts";

export interface ContainerLogsOptions {
  /** Wait for more until the container has ended. */
  readonly follow: boolean;
  readonly since?: Instant | undefined;
  readonly until?: Instant | undefined;
  /** So many lines from the end; all when absent. */
  readonly tail?: number | undefined;
}

/**
 * A flood fills a file of a megabyte in ten milliseconds, after which the last of a few is removed: no more than the
 * scheduler lets a thread wait on a busy machine. Whoever follows works no longer for that, as there is no more to be
 * read, but comes in time. sched(7)
 */
const followerNice = -10;

/**
 * What a container has written, in the order in which it was written.
 * @param reference its name, ID, or the beginning of its ID
 * @returns the records, as many at once as are there at once
 * @throws NotFoundError there is none; UsageError the reference fits several, or its log driver keeps nothing that can be
 *   read; ConflictError what it writes is the command's that runs it; InvalidDocumentError the log is damaged
 */
export async function* containerLogs(
  context: Pick<EngineContext, "root" | "state" | "warn">,
  reference: string,
  { follow, ...options }: ContainerLogsOptions,
): AsyncGenerator<readonly LogRecord[]> {
  const { containers } = await openContainers(context);
  const id = containers.resolve(reference);
  const record = containers.read(id);
  const { log } = record;
  const directory = containers.directory(id);
  if (isNotKept(record, directory)) {
    throw new ConflictError(
      `container ${reference} has no log: what it writes goes to the command that runs it alone`,
      {
        hint: "what is started with -d, or without --rm, has one",
      },
    );
  }
  const onMissing = (files: number) => context.warn?.(missingText(files));
  if (!follow) {
    yield* readLog(directory, log, options);
    return;
  }
  const end = new AbortController();
  using _priority = raisePriority(followerNice);
  using watch = new ChangeWatch(directory, isNoLog);
  const ended = untilEnded(containers, id, watch, end);
  // Waited for at the end of the reading, which comes later than a failure.
  ended.catch(() => {});
  try {
    yield* readLog(directory, log, { ...options, follow: end.signal, onMissing });
  } finally {
    // Whoever reads may leave before.
    end.abort();
    await ended;
  }
}

/** Whether nobody keeps what a container writes, or has written, though its log driver does: it has no monitor. */
function isNotKept({ log, state }: ContainerRecord, directory: string): boolean {
  const { driver } = log ?? usualLog;
  if (driver === "none" || driver === "journald" || existsSync(logPath(directory, driver))) return false;
  if (state.status === "running") return !hasMonitor(state);
  // That of `run --explain`: a monitor has begun a log by its end, or told what kept it from that.
  return state.status === "exited" && state.startedAt !== undefined && state.error === undefined;
}

/** A flood of output must not have the container's record read again for each part of it. */
function isNoLog(name: string): boolean {
  return !/\.log(?:\.|$)/.test(name);
}

function missingText(files: number): string {
  const [what, it] = files === 1 ? ["a file of the log was", "it"] : [`${files} files of the log were`, "they"];
  return `lines are missing here: ${what} removed before ${it} could be read, as max-file wants it`;
}

/** Aborts `end` when the container has ended or that cannot be told, and returns when it is aborted. */
async function untilEnded(
  containers: ContainerStore,
  id: string,
  watch: ChangeWatch,
  end: AbortController,
): Promise<void> {
  try {
    while (!end.signal.aborted) {
      watch.reset();
      if (hasEnded(containers, id)) return;
      await watch.wait(end.signal);
    }
  } finally {
    end.abort();
  }
}

/** Whether nothing comes any more from the container, as long as nobody starts it. */
function hasEnded(containers: ContainerStore, id: string): boolean {
  let record: ContainerRecord;
  try {
    record = containers.read(id);
  } catch (error) {
    if (error instanceof NotFoundError) return true;
    throw error;
  }
  const { status, pid = 0, pidStartTime } = record.state;
  if (status === "created" || status === "exited") return true;
  // Its first process may be gone while its output is still on the way; but who keeps that may have died too.
  const isAlive = status === "running" && processState(pid)?.startTime === pidStartTime;
  return !isAlive && !isLookedAfter(containers, id);
}

function isLookedAfter(containers: ContainerStore, id: string): boolean {
  try {
    using lock = FileLock.tryAcquire(containers.lockPath(id), "shared", "there");
    return lock === undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}
