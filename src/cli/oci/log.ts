import { closeSync, openSync, writeSync } from "node:fs";
import { UsageError } from "../../util/errors.ts";
import { writeError } from "../output/write.ts";

/** Where errors and warnings go besides standard error: `--log` and `--log-format`. */
interface LogOptions {
  readonly file: string | undefined;
  readonly format: "text" | "json";
  readonly debug: boolean;
}

/**
 * What the runtime has to say. Callers such as containerd's shim and conmon read the log's last line to tell their users
 * why a container did not start.
 */
export class OciLog {
  #options: LogOptions = { file: undefined, format: "text", debug: false };

  /** @throws UsageError the file cannot be written */
  open(options: LogOptions): void {
    if (options.file !== undefined && options.file !== "") {
      try {
        closeSync(openSync(options.file, "a", 0o644));
      } catch (error) {
        throw new UsageError(`the log cannot be written: ${(error as Error).message}`, { cause: error });
      }
      this.#options = options;
    } else this.#options = { ...options, file: undefined };
  }

  debug(message: string): void {
    if (!this.#options.debug) return;
    this.#write("debug", message);
    if (this.#options.file === undefined) writeError(`level=debug msg=${JSON.stringify(message)}\n`);
  }

  warn(message: string): void {
    this.#write("warning", message);
    writeError(`gocker: warning: ${message}\n`);
  }

  /** Tells of the error that ends the command. */
  async fail(reason: unknown): Promise<void> {
    const [{ errorSentence, reportError }, { ownRights }, { wantsColour }] = await Promise.all([
      import("../errors.ts"),
      import("../rights.ts"),
      import("../output/terminal.ts"),
    ]);
    this.#write("error", errorSentence(reason));
    const rights = () => ({ ...ownRights(), isRootOptional: true });
    writeError(reportError(reason, { debug: this.#options.debug, colour: wantsColour(2), rights }).text);
  }

  #write(level: "error" | "warning" | "debug", msg: string): void {
    const { file, format } = this.#options;
    if (file === undefined) return;
    const time = new Date().toISOString();
    const line =
      format === "json"
        ? JSON.stringify({ level, msg, time })
        : `time=${JSON.stringify(time)} level=${level} msg=${JSON.stringify(msg)}`;
    const log = openSync(file, "a", 0o644);
    try {
      writeSync(log, `${line}\n`);
    } finally {
      closeSync(log);
    }
  }
}
