import type { LogConfiguration } from "../record.ts";
import type { LogFacts, LogWriter } from "./log-writer.ts";

/**
 * Opens a container's log for writing, at its end. Only for who has the container's lock: two writers would cut each
 * other's lines.
 * @param directory the container's
 * @param configuration its record's
 * @param onError told of what fails beside the writing: a file that cannot be put aside or compressed
 * @throws UsageError the options are wrong; GockerError journald does not run; what node:fs throws
 */
export async function openLog(
  directory: string,
  configuration: LogConfiguration,
  facts: LogFacts,
  onError: (error: unknown) => void,
): Promise<LogWriter> {
  const { driver, options } = configuration;
  switch (driver) {
    case "json-file":
    case "local": {
      const { openFileLog } = await import("./file-log.ts");
      return openFileLog(directory, { driver, options }, facts, onError);
    }
    case "journald": {
      const { openJournaldLog } = await import("./journald-log.ts");
      return openJournaldLog(options, facts);
    }
    case "none":
      return { write() {}, flush() {}, [Symbol.dispose]() {} };
  }
}
