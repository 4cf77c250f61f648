import { GockerError } from "../../util/errors.ts";
import type { DbusValue } from "./marshal.ts";
import { type DbusMessage, decodeMessage, encodeMessage, messageLength, messageTypes } from "./message.ts";

/** A method to call, and where. */
export interface DbusCall {
  /** The bus name of who has the object; left out where there is no bus between. */
  readonly destination?: string | undefined;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly signature?: string;
  readonly body?: readonly DbusValue[];
}

/** The other side answered with an error; `errorName` is D-Bus's, such as `org.freedesktop.systemd1.UnitExists`. */
export class DbusError extends GockerError {
  override readonly name = "DbusError";
  readonly errorName: string;

  constructor(errorName: string, message: string) {
    super("DBUS", message);
    this.errorName = errorName;
  }
}

interface Waiting {
  readonly resolve: (body: readonly DbusValue[]) => void;
  readonly reject: (error: Error) => void;
}

/** How long the other side may take for an answer unless told; in milliseconds. */
const defaultPatience = 30_000;

/**
 * A connection to a D-Bus server on a unix socket: calls and signals, without descriptors. D-Bus Specification,
 * "Authentication Protocol": the kernel tells the server who connects (EXTERNAL).
 */
export class DbusConnection implements Disposable {
  readonly #path: string;
  readonly #onSignal: (message: DbusMessage) => void;
  readonly #patience: number;
  readonly #waiting = new Map<number, Waiting>();
  #socket: Bun.Socket | undefined;
  #received = Buffer.alloc(0);
  #unsent: Uint8Array[] = [];
  #isAuthenticated = false;
  #authentication: PromiseWithResolvers<void> | undefined;
  #failure: Error | undefined;
  #serial = 0;

  private constructor(path: string, onSignal: (message: DbusMessage) => void, patience: number) {
    this.#path = path;
    this.#onSignal = onSignal;
    this.#patience = patience;
  }

  /**
   * @param path the socket's
   * @param patience milliseconds that the other side may take for each answer
   * @throws GockerError nobody listens there or answers, or this user may not connect
   */
  static async connect(
    path: string,
    onSignal: (message: DbusMessage) => void = () => {},
    patience = defaultPatience,
  ): Promise<DbusConnection> {
    const connection = new DbusConnection(path, onSignal, patience);
    try {
      connection.#socket = await Bun.connect({
        unix: path,
        socket: {
          data: (_, data) => connection.#receive(data),
          drain: () => connection.#flush(),
          close: () => connection.#fail(new GockerError("DBUS", `the D-Bus connection ${path} was closed`)),
          error: (_, error) => connection.#fail(error),
        },
      });
    } catch (cause) {
      throw new GockerError("DBUS", `no connection to D-Bus at ${path}`, { cause });
    }
    const user = Buffer.from(String(process.geteuid?.() ?? 0)).toString("hex");
    const authentication = Promise.withResolvers<void>();
    connection.#authentication = authentication;
    // The last line without waiting for an answer, as systemd's own clients have it, so that the server has read it when
    // the answer comes: systemd (252) does not see a message that it receives together with that line until another comes.
    connection.#send(Buffer.from(`\0AUTH EXTERNAL ${user}\r\nBEGIN\r\n`));
    await connection.#inTime(authentication.promise);
    return connection;
  }

  /**
   * Calls a method and waits for its answer.
   * @returns the answer's values
   * @throws DbusError the other side answers with an error; GockerError it does not, or the connection ends before
   */
  call(call: DbusCall): Promise<readonly DbusValue[]> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const { promise, resolve, reject } = Promise.withResolvers<readonly DbusValue[]>();
    const serial = ++this.#serial;
    const bytes = encodeMessage({ ...call, type: messageTypes.call, serial, body: call.body ?? [] });
    this.#waiting.set(serial, { resolve, reject });
    this.#send(bytes);
    return this.#inTime(promise);
  }

  [Symbol.dispose](): void {
    this.#fail(new GockerError("DBUS", `the D-Bus connection ${this.#path} is closed`));
  }

  /** Ends the connection when an answer does not come: what comes later would be of no use. */
  async #inTime<T>(answer: Promise<T>): Promise<T> {
    const late = new GockerError(
      "DBUS",
      `no answer from D-Bus at ${this.#path} within ${this.#patience / 1000} seconds`,
    );
    const timer = setTimeout(() => this.#fail(late), this.#patience);
    try {
      return await answer;
    } finally {
      clearTimeout(timer);
    }
  }

  #receive(data: Uint8Array): void {
    this.#received = Buffer.concat([this.#received, data]);
    try {
      if (!this.#isAuthenticated) this.#authenticate();
      if (this.#isAuthenticated) this.#takeMessages();
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #authenticate(): void {
    const end = this.#received.indexOf("\r\n");
    if (end === -1) return;
    const answer = this.#received.toString("latin1", 0, end);
    this.#received = this.#received.subarray(end + 2);
    if (!answer.startsWith("OK ")) {
      throw new GockerError("DBUS", `D-Bus at ${this.#path} refuses this user: ${JSON.stringify(answer)}`);
    }
    this.#isAuthenticated = true;
    this.#authentication?.resolve();
  }

  #takeMessages(): void {
    for (;;) {
      const length = messageLength(this.#received);
      if (length === undefined || this.#received.length < length) return;
      // A copy: alignment counts from the message's own beginning.
      const message = decodeMessage(Uint8Array.from(this.#received.subarray(0, length)));
      this.#received = this.#received.subarray(length);
      this.#take(message);
    }
  }

  #take(message: DbusMessage): void {
    if (message.type === messageTypes.signal) {
      this.#onSignal(message);
      return;
    }
    const waiting = this.#waiting.get(message.replySerial ?? 0);
    // Calls to this side, which has no objects, need no answer: nobody knows its name.
    if (waiting === undefined) return;
    this.#waiting.delete(message.replySerial ?? 0);
    if (message.type === messageTypes.reply) {
      waiting.resolve(message.body);
      return;
    }
    const errorName = message.errorName ?? "unknown error";
    const [text] = message.body;
    waiting.reject(new DbusError(errorName, typeof text === "string" ? `${text} (${errorName})` : errorName));
  }

  #send(bytes: Uint8Array): void {
    this.#unsent.push(bytes);
    this.#flush();
  }

  #flush(): void {
    while (this.#unsent.length > 0) {
      const bytes = this.#unsent[0] as Uint8Array;
      const count = this.#socket?.write(bytes) ?? 0;
      if (count < bytes.length) {
        if (count > 0) this.#unsent[0] = bytes.subarray(count);
        return;
      }
      this.#unsent.shift();
    }
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    if (!this.#isAuthenticated) this.#authentication?.reject(error);
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    this.#socket?.end();
  }
}
