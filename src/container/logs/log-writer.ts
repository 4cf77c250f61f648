/** The outputs of a container. One with a terminal has standard output alone. */
export type LogStream = "stdout" | "stderr";

/** Keeps what a container writes. */
export interface LogWriter extends Disposable {
  /**
   * Takes what came from one of the outputs. All lines that it makes whole are written when it returns; the beginning of
   * one waits for its rest. The bytes are not kept.
   * @param now milliseconds since the epoch; a fraction counts
   * @throws SystemCallError, or what node:fs throws: these lines are lost, and later ones may be written again
   */
  write(stream: LogStream, bytes: Uint8Array, now: number): void;
  /**
   * Writes the beginnings of lines that still wait, and compresses what is to be compressed: nothing comes for a while, or
   * ever. What comes later on such a line is another piece of it.
   * Throws as {@link LogWriter.write}.
   */
  flush(): void;
}

/** What a log says of the container, where its options ask for it. */
export interface LogFacts {
  readonly id: string;
  readonly name: string;
  readonly image: {
    /** As the user named it. */
    readonly reference: string;
    /** The digest of its configuration. */
    readonly id: string;
  };
  readonly labels: Readonly<Record<string, string>>;
  /** The first process's: `KEY=value`. */
  readonly environment: readonly string[];
}
