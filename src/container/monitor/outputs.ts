import { OwnedFd, readSome } from "../../linux/fd.ts";
import { errnos } from "../../linux/errno.ts";
import { receiveDescriptor } from "../../linux/descriptor-passing.ts";
import { pollEvent } from "../../linux/poll.ts";
import { openPeer } from "../../linux/terminal.ts";
import { SystemCallError } from "../../util/errors.ts";
import type { LogStream } from "../logs/log-writer.ts";
import type { MonitorDescriptors } from "./state.ts";
import type { Waiting } from "../../linux/waiting.ts";

/** As much as a pipe of gocker's holds. */
const bufferSize = 128 * 1024;

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
  /** The terminal's other side. */
  #peer: OwnedFd | undefined;
  #hasContainerEnded = false;

  /** @param descriptors become this one's */
  constructor(descriptors: MonitorDescriptors, events: OutputEvents) {
    this.#events = events;
    for (const name of ["stdout", "stderr", "terminal", "terminalSocket"] as const) {
      const number = descriptors[name];
      if (number !== undefined) this.#open.set(name, new OwnedFd(number));
    }
    if (descriptors.terminalPeer !== undefined) this.#peer = new OwnedFd(descriptors.terminalPeer);
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
    const peer = this.#peer === undefined ? [] : [["terminalPeer", this.#peer.number] as const];
    return Object.fromEntries([...[...this.#open].map(([name, fd]) => [name, fd.number] as const), ...peer]);
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
      if (error instanceof SystemCallError && error.errno === errnos.EIO) return this.#holdTerminal(file);
      throw error;
    }
  }

  /**
   * Programs such as init close their terminal and open it anew: until the container's end it is there, which it is
   * without being asked for again and again when somebody has its other side open.
   * @returns false when nobody can open it any more
   */
  #holdTerminal(master: OwnedFd): boolean {
    this.#peer?.close();
    this.#peer = undefined;
    if (this.#hasContainerEnded) return false;
    try {
      this.#peer = openPeer(master.number);
      return true;
    } catch (error) {
      if (error instanceof SystemCallError) return false;
      throw error;
    }
  }

  /** All of the container's processes have ended: what they have written comes to its end. */
  containerEnded(): void {
    this.#hasContainerEnded = true;
    this.#peer?.close();
    this.#peer = undefined;
  }

  #close(name: "stdout" | "stderr" | "terminal" | "terminalSocket", file: OwnedFd): void {
    this.#open.delete(name);
    file.close();
  }

  [Symbol.dispose](): void {
    this.#peer?.close();
    for (const file of this.#open.values()) file.close();
    this.#open.clear();
  }
}
