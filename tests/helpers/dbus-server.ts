import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DbusValue } from "../../src/linux/dbus/marshal.ts";
import {
  type DbusMessage,
  decodeMessage,
  encodeMessage,
  messageLength,
  messageTypes,
} from "../../src/linux/dbus/message.ts";

/** What the server does with a call: an answer, an error, or nothing. */
export interface DbusAnswer {
  readonly signature?: string;
  readonly body?: readonly DbusValue[];
  readonly errorName?: string;
  /** Sent before the answer. */
  readonly signals?: readonly Omit<DbusMessage, "type" | "serial">[];
  /** Sent after it. */
  readonly later?: readonly Omit<DbusMessage, "type" | "serial">[];
}

/** A D-Bus server with one client, in a folder of its own. */
export class DbusServer implements Disposable {
  readonly path: string;
  readonly calls: DbusMessage[] = [];
  /** What came before there was an answer. */
  authentication = "";
  readonly #folder = mkdtempSync(join(tmpdir(), "gocker-dbus-"));
  readonly #listener: Bun.UnixSocketListener<undefined>;
  readonly #answer: (call: DbusMessage) => DbusAnswer | undefined;
  readonly #greeting: string;
  #received = Buffer.alloc(0);
  #began = false;
  #sending = Promise.resolve();
  #serial = 100;

  constructor(answer: (call: DbusMessage) => DbusAnswer | undefined, greeting = "OK 1234deadbeef\r\n") {
    this.path = join(this.#folder, "socket");
    this.#answer = answer;
    this.#greeting = greeting;
    this.#listener = Bun.listen({
      unix: this.path,
      socket: { data: (socket, data) => this.#receive(socket, data) },
    });
  }

  /** Ends the client's connection. */
  hangUp(): void {
    this.#listener.stop(true);
  }

  [Symbol.dispose](): void {
    this.#listener.stop(true);
    rmSync(this.#folder, { recursive: true });
  }

  #receive(socket: Bun.Socket, data: Uint8Array): void {
    if (this.authentication === "") this.authentication = Buffer.from(data).toString("latin1");
    this.#received = Buffer.concat([this.#received, data]);
    while (!this.#began) {
      const end = this.#received.indexOf("\r\n");
      if (end === -1) return;
      const line = this.#received.toString("latin1", 0, end);
      this.#received = this.#received.subarray(end + 2);
      if (line === "BEGIN") this.#began = true;
      else socket.write(this.#greeting);
    }
    for (;;) {
      const length = messageLength(this.#received);
      if (length === undefined || this.#received.length < length) return;
      const call = decodeMessage(Uint8Array.from(this.#received.subarray(0, length)));
      this.#received = this.#received.subarray(length);
      this.calls.push(call);
      this.#reply(socket, call);
    }
  }

  #reply(socket: Bun.Socket, call: DbusMessage): void {
    const answer = this.#answer(call);
    if (answer === undefined) return;
    const { body = [], signature, errorName, signals = [], later = [] } = answer;
    const type = errorName === undefined ? messageTypes.reply : messageTypes.error;
    const send = (message: Omit<DbusMessage, "serial">): Uint8Array =>
      encodeMessage({ ...message, serial: ++this.#serial });
    const bytes = Buffer.concat([
      ...signals.map((signal) => send({ ...signal, type: messageTypes.signal })),
      send({ type, replySerial: call.serial, errorName, signature, body }),
      ...later.map((signal) => send({ ...signal, type: messageTypes.signal })),
    ]);
    // In two pieces, neither of which ends with a message, and one answer after the other.
    this.#sending = this.#sendAfter(this.#sending, socket, bytes);
  }

  async #sendAfter(before: Promise<void>, socket: Bun.Socket, bytes: Uint8Array): Promise<void> {
    await before;
    socket.write(bytes.subarray(0, 21));
    await Bun.sleep(1);
    socket.write(bytes.subarray(21));
  }
}
