import { ptr } from "bun:ffi";
import { noSignal, sendDescriptorAlone } from "../../linux/descriptor-passing.ts";
import { errnos, systemCallError } from "../../linux/errno.ts";
import { createSealedMemfd, type OwnedFd } from "../../linux/fd.ts";
import { errno, libc } from "../../linux/libc.ts";
import { syscallNumber } from "../../linux/syscalls.ts";
import { connectUnix } from "../../linux/unix-socket.ts";
import { GockerError } from "../../util/errors.ts";
import type { LogConfiguration } from "../record.ts";
import { type LinePiece, LineSplitter, longestPiece } from "./line-splitter.ts";
import { logAttributes, logTag } from "./log-attributes.ts";
import { checkLogConfiguration } from "./log-options.ts";
import type { LogFacts, LogStream, LogWriter } from "./log-writer.ts";
import { ByTime } from "./record-encoder.ts";

/** systemd-journald(8) */
const usualSocket = "/run/systemd/journal/socket";
/** Milliseconds that journald may take for a line when it is busy. */
const patience = 10_000;

/** syslog(3): what Docker has for the two outputs. */
const priorities = { stdout: 6, stderr: 3 } as const;

const shortDigits = 12;
const encoder = new TextEncoder();

/**
 * Opens a log that goes to systemd's journal, with Docker's fields.
 * @param path of journald's socket
 * @throws UsageError the options are wrong; GockerError journald does not run
 */
export function openJournaldLog(
  options: LogConfiguration["options"],
  facts: LogFacts,
  path: string = usualSocket,
): LogWriter {
  checkLogConfiguration({ driver: "journald", options });
  const tag = logTag(options["tag"] || "{{.ID}}", facts);
  const fields = [
    ["CONTAINER_ID", facts.id.slice(0, shortDigits)],
    ["CONTAINER_ID_FULL", facts.id],
    ["CONTAINER_NAME", facts.name],
    ["CONTAINER_TAG", tag],
    ["IMAGE_NAME", facts.image.reference],
    ["SYSLOG_IDENTIFIER", tag],
    ...Object.entries(logAttributes(options, facts)).map(([name, value]) => [fieldName(name), value] as const),
  ] as const;
  return new JournaldLog(path, Buffer.concat(fields.map(([name, value]) => field(name, value))));
}

/** Makes sure that journald runs, before there is a container. @throws GockerError it does not */
export function checkJournald(): void {
  connect(usualSocket).close();
}

/** Docker's: letters in upper case, all else an underscore, and none at the beginning, which are journald's own. */
function fieldName(name: string): string {
  return name
    .replace(/[a-z]/g, (letter) => letter.toUpperCase())
    .replace(/[^A-Z0-9]/gu, "_")
    .replace(/^_+/, "");
}

/**
 * A field with its length, so that its value may be anything; none without a name. Journal Export Format, which the
 * native protocol has too: systemd.io/JOURNAL_NATIVE_PROTOCOL
 */
function field(name: string, value: string): Uint8Array {
  if (name === "") return new Uint8Array(0);
  const bytes = encoder.encode(value);
  return Buffer.concat([encoder.encode(`${name}\n`), lengthOf(bytes.length), bytes, encoder.encode("\n")]);
}

function lengthOf(length: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(length));
  return bytes;
}

/** What stands before a line's text and its length. */
interface Heads {
  readonly whole: Uint8Array;
  readonly cut: Uint8Array;
}

const newline = 0x0a;

/** A datagram for each line: that is what the protocol has. */
class JournaldLog implements LogWriter {
  readonly #path: string;
  readonly #heads: Readonly<Record<LogStream, ByTime<Heads>>>;
  readonly #splitters: Readonly<Record<LogStream, LineSplitter>> = {
    stdout: new LineSplitter(),
    stderr: new LineSplitter(),
  };
  readonly #takers: Readonly<Record<LogStream, (piece: LinePiece) => void>> = {
    stdout: (piece) => this.#take("stdout", piece),
    stderr: (piece) => this.#take("stderr", piece),
  };
  readonly #buffer: Buffer;
  #socket: OwnedFd;
  #now = Date.now();

  constructor(path: string, fields: Uint8Array) {
    this.#path = path;
    const heads = (stream: LogStream) =>
      new ByTime((time) => {
        const start = `PRIORITY=${priorities[stream]}\nSYSLOG_TIMESTAMP=${time}\n`;
        return {
          whole: Buffer.concat([fields, encoder.encode(`${start}MESSAGE\n`)]),
          cut: Buffer.concat([fields, encoder.encode(`${start}CONTAINER_PARTIAL_MESSAGE=true\nMESSAGE\n`)]),
        };
      });
    this.#heads = { stdout: heads("stdout"), stderr: heads("stderr") };
    const timeAndNames = 256;
    this.#buffer = Buffer.alloc(fields.length + timeAndNames + longestPiece);
    this.#socket = connect(path);
  }

  write(stream: LogStream, bytes: Uint8Array, now: number): void {
    this.#now = now;
    this.#splitters[stream].split(bytes, now, this.#takers[stream]);
  }

  flush(): void {
    for (const stream of ["stdout", "stderr"] as const) {
      this.#splitters[stream].flush(this.#now, this.#takers[stream]);
    }
  }

  #take(stream: LogStream, { source, start, end, isLast, time }: LinePiece): void {
    const heads = this.#heads[stream].at(time);
    const head = isLast ? heads.whole : heads.cut;
    const buffer = this.#buffer;
    buffer.set(head);
    let at = buffer.writeBigUInt64LE(BigInt(end - start), head.length);
    for (let index = start; index < end; index++) buffer[at++] = source[index] as number;
    buffer[at++] = newline;
    this.#send(buffer.subarray(0, at));
  }

  #send(message: Uint8Array): void {
    let reason = trySend(this.#socket, message);
    if (reason === errnos.ECONNREFUSED || reason === errnos.ENOTCONN) {
      // journald was started anew, and has another socket.
      const socket = connect(this.#path);
      this.#socket.close();
      this.#socket = socket;
      reason = trySend(this.#socket, message);
    }
    if (reason === 0) return;
    if (reason !== errnos.EMSGSIZE && reason !== errnos.ENOBUFS) {
      throw systemCallError("sendto", { path: this.#path, step: "write a line to the journal" }, reason);
    }
    // Too long for a datagram, for which labels and variables may be the reason.
    using file = createSealedMemfd("journal-entry", [{ offset: 0, bytes: message }]);
    sendDescriptorAlone(this.#socket.number, file.number, "write a long line to the journal");
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

/** @returns 0, or the reason why it was not sent */
function trySend(socket: OwnedFd, message: Uint8Array): number {
  const sendto = syscallNumber("sendto");
  for (;;) {
    if (Number(libc.syscall(sendto, socket.number, ptr(message), message.length, noSignal, 0, 0)) >= 0) return 0;
    const reason = errno();
    if (reason !== errnos.EINTR) return reason;
  }
}

function connect(path: string): OwnedFd {
  try {
    return connectUnix(path, patience, "datagram");
  } catch (cause) {
    throw new GockerError(
      "JOURNALD",
      `there is no journald to write the container's log to: nobody listens at ${path}`,
      {
        cause,
        hint: "start systemd-journald, or choose another log driver, such as json-file or local",
      },
    );
  }
}
