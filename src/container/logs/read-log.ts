import { dirname } from "node:path";
import { UsageError } from "../../util/errors.ts";
import type { Instant } from "../../util/instant.ts";
import type { LogConfiguration } from "../record.ts";
import { ChangeWatch } from "./change-watch.ts";
import { criRecordParser } from "./cri-parser.ts";
import { jsonRecordParser } from "./json-parser.ts";
import { rotationOf } from "./log-options.ts";
import { logPath } from "./log-path.ts";
import { type LogForm, LogReading } from "./log-reading.ts";
import type { LogRecord } from "./log-record.ts";
import { TimeBounds } from "./time-bounds.ts";
import { usualLog } from "./usual-log.ts";

export interface ReadLogOptions {
  /** Nothing that is older. */
  readonly since?: Instant | undefined;
  /** Nothing that is newer: the first line that is ends the reading. */
  readonly until?: Instant | undefined;
  /** So many lines from the end, of which `since` and `until` may leave out some. */
  readonly tail?: number | undefined;
  /**
   * Wait for more, until this says that the container has ended, and all that is there by then was read; or until the time
   * of `until`.
   */
  readonly follow?: AbortSignal | undefined;
  /** Told where so many files are missing, which were removed before they were read: between what came and what comes. */
  readonly onMissing?: ((files: number) => void) | undefined;
}

/**
 * Reads a container's log, over all of its files and in the order in which it was written. What is damaged, or was torn
 * off, is left out. The container may run, and its log be rotated meanwhile.
 * @param directory the container's
 * @returns the records, as many at once as are there at once
 * @throws UsageError the driver keeps nothing that can be read; InvalidDocumentError a compressed file is damaged; what
 *   node:fs throws
 */
export async function* readLog(
  directory: string,
  configuration: LogConfiguration | undefined,
  options: ReadLogOptions = {},
): AsyncGenerator<readonly LogRecord[]> {
  const form = formOf(directory, configuration ?? usualLog);
  using reading = new LogReading(form, {
    isFollowed: options.follow !== undefined,
    onMissing: (files) => options.onMissing?.(files),
  });
  // Before the first look, so that nothing comes between that and the waiting.
  using watch = options.follow === undefined ? undefined : new ChangeWatch(dirname(form.path));
  const bounds = new TimeBounds(options);
  const pass = async function* (parts: AsyncIterable<readonly LogRecord[]> | Iterable<readonly LogRecord[]>) {
    for await (const part of parts) {
      const records = bounds.take(part);
      if (records.length > 0) yield records;
      if (bounds.isOver) return;
    }
  };

  yield* pass(reading.files(options.tail));
  if (options.follow === undefined || watch === undefined) return;
  let wasTold = true;
  while (!bounds.isOver) {
    // Asked before the look: what was written before the end is there now.
    const hasEnded = options.follow.aborted || bounds.isPast();
    watch.reset();
    for await (const part of pass(reading.more())) {
      if (!wasTold) watch.renew();
      wasTold = true;
      yield part;
    }
    if (hasEnded) return;
    wasTold = await watch.wait(options.follow, bounds.rest());
  }
}

function formOf(directory: string, configuration: LogConfiguration): LogForm {
  const { driver } = configuration;
  if (driver === "none" || driver === "journald") {
    throw new UsageError(`the container's log driver is ${driver}: there is no log that gocker could read`, {
      hint: driver === "journald" ? "journalctl shows what went there" : "choose json-file or local for the next one",
    });
  }
  return {
    path: logPath(directory, driver),
    maximum: rotationOf(configuration).maximumFiles - 1,
    parse: driver === "local" ? criRecordParser() : jsonRecordParser(),
  };
}
