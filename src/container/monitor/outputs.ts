import { OwnedFd, readSome } from "../../linux/fd.ts";
import { errnos } from "../../linux/errno.ts";
import { receiveDescriptor } from "../../linux/descriptor-passing.ts";
import { pollEvent } from "../../linux/poll.ts";
import { SystemCallError } from "../../util/errors.ts";
import type { LogStream } from "../logs/log-writer.ts";
import type { MonitorDescriptors } from "./state.ts";
import type { Waiting } from "./waiting.ts";

/** As much as a pipe of gocker's holds. */
const bufferSize = 1024 * 1024;

/** What comes from a container. */
export interface OutputEvents {
  /** The bytes are not kept. */
  onOutput(stream: LogStream, bytes: Uint8Array): void;
  /** The master side of its terminal has come. */
  onTerminal(descriptor: number): void;
}

/** The ends of a container's outputs that its monitor has: of pipes, or of a terminal. */
export class Outputs implements Disposable {
  readonly #events: OutputEvents;
  readonly #open = new Map<"stdout" | "stderr" | "terminal" | "terminalSocket", OwnedFd>();
  #buffer: Uint8Array | undefined;

  /** @param descriptors become this one's */
  constructor(descriptors: MonitorDescriptors, events: OutputEvents) {
    this.#events = events;
    for (const name of ["stdout", "stderr", "terminal", "terminalSocket"] as const) {
      const number = descriptors[name];
      if (number !== undefined) this.#open.set(name, new OwnedFd(number));
    }
  }

  /** Nobody can write any more. */
  get hasEnded(): boolean {
    return this.#open.size === 0;
  }

  get terminal(): number | undefined {
    return this.#open.get("terminal")?.number;
  }

  /** Of what is open. */
  get descriptors(): Partial<MonitorDescriptors> {
    return Object.fromEntries([...this.#open].map(([name, fd]) => [name, fd.number]));
  }

  /** What is waited for, and what is done then. */
  *waiting(): Generator<Waiting> {
    for (const [name, file] of this.#open) {
      const serve = () => {
        if (name === "terminalSocket") this.#takeTerminal(file);
        else if (!this.#read(name === "stderr" ? "stderr" : "stdout", file)) this.#close(name, file);
      };
      yield { fd: file.number, events: pollEvent.readable, serve };
    }
  }

  #takeTerminal(socket: OwnedFd): void {
    const master = receiveDescriptor(socket.number, "the terminal");
    this.#close("terminalSocket", socket);
    if (master === undefined) return;
    this.#open.set("terminal", master);
    this.#events.onTerminal(master.number);
  }

  /** @returns false at the end */
  #read(stream: LogStream, file: OwnedFd): boolean {
    this.#buffer ??= new Uint8Array(bufferSize);
    try {
      const bytes = readSome(file.number, this.#buffer);
      if (bytes.length > 0) this.#events.onOutput(stream, bytes);
      return bytes.length > 0;
    } catch (error) {
      // Of a terminal's master side: nobody has the other one open. pty(7)
      if (error instanceof SystemCallError && error.errno === errnos.EIO) return false;
      throw error;
    }
  }

  #close(name: "stdout" | "stderr" | "terminal" | "terminalSocket", file: OwnedFd): void {
    this.#open.delete(name);
    file.close();
  }

  [Symbol.dispose](): void {
    for (const file of this.#open.values()) file.close();
    this.#open.clear();
  }
}
