import { ptr } from "bun:ffi";
import { write } from "node:fs";
import { O_CLOEXEC } from "../constants.ts";
import { errnos, systemCallError } from "../errno.ts";
import { OwnedFd, waitReadable } from "../fd.ts";
import { errno, libc } from "../libc.ts";
import { syscallNumber, type SyscallName } from "../syscalls.ts";
import type { SystemCallError } from "../../util/errors.ts";
import {
  decodeMessages,
  decodeRefusal,
  encodeRequest,
  type Message,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
  type Refusal,
  type Request,
} from "./message.ts";

export const AF_NETLINK = 16;
export const SOCK_RAW = 3;
export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;
const MSG_DONTWAIT = 0x40;
/** The call tells the whole length of what it receives, also where it did not fit. recv(2) */
const MSG_TRUNC = 0x20;

/** What one call receives at most: the kernel makes no larger messages of what it lists. netlink_dump() */
const receiveSize = 0x8000;
/**
 * Where answers are received, by all sockets one after the other: to make it takes longer than most questions. What is
 * received stays as it is for whoever refers to it.
 */
let room = Buffer.alloc(0);
const roomSize = 2 * receiveSize;

/** socket(7): what a buffer holds at least by default is enough for so much. */
const fewBytes = 0x8000;
const fewRequests = 64;
/** What the kernel counts for an answer in the socket's buffer, with room to spare. */
const answerSize = 1024;

/** What a request is about, for the error when it is refused. */
export interface Deed {
  /** In words, such as "bring up the network device". */
  readonly step: string;
  readonly path: string;
}

/** A request that changes something, and what it is about. */
export interface Order {
  readonly request: Request;
  readonly deed: Deed;
  /** What to do about a refusal by its error number, where the kernel's own words do not tell. */
  readonly hints?: Readonly<Record<number, string>>;
}

/** One of several requests that were sent at once, and was refused. */
export interface RefusedRequest extends Refusal {
  /** Its place among them. */
  readonly index: number;
}

/** Orders that the kernel is at: see {@link NetlinkSocket.begin}. Disposed of when it is not any more. */
export interface BegunOrders extends AsyncDisposable {
  /** Waits until all are carried out. @throws as {@link NetlinkSocket.carryOut} */
  end(): Promise<void>;
}

/** Requests that were sent at once, and what is known of their answers. */
interface Batch {
  /** The sequence number of the first. */
  readonly first: number;
  readonly count: number;
  readonly refused: RefusedRequest[];
  /** How many successes are to be told yet. */
  awaited: number;
}

/** Milliseconds after which who waits for an answer looks whether the question was sent at all. */
const patience = 200;

/**
 * A socket of netlink(7), to one part of the kernel and for the network of one namespace: that which the socket was made in,
 * wherever it is used.
 */
export class NetlinkSocket implements Disposable {
  readonly #socket: OwnedFd;
  #sequence = 0;

  /** @param socket owned from now on */
  constructor(socket: OwnedFd) {
    this.#socket = socket;
    const solNetlink = 270;
    // Refusals without a copy of the request, with the kernel's words, and the filter of what is listed. Older kernels
    // lack some of it.
    for (const option of [10, 11, 12]) this.#set(solNetlink, option, 1);
  }

  /**
   * Sends a request and waits for the end of its answer, which the kernel gives at once.
   * @returns what it answers with besides that it is done
   * @throws SystemCallError with the kernel's own words as a hint
   */
  request(request: Request, deed: Deed): Message[] {
    const answers = this.#ask(request, deed);
    if (Array.isArray(answers)) return answers;
    throw refusalError(answers, deed);
  }

  /**
   * {@link request} for what is often refused: to make and throw an error takes the time of several requests.
   * @returns undefined when the kernel refuses it with that error number
   */
  requestUnless(refusal: number, request: Request, deed: Deed): Message[] | undefined {
    const answers = this.#ask(request, deed);
    if (Array.isArray(answers)) return answers;
    if (answers.errno === refusal) return undefined;
    throw refusalError(answers, deed);
  }

  #ask(request: Request, deed: Deed): Message[] | Refusal {
    for (;;) {
      const answers = this.#exchange(request, deed);
      // Things changed while they were listed.
      const isBroken = Array.isArray(answers) && answers.some(({ flags }) => (flags & NLM_F_DUMP_INTR) !== 0);
      if (!isBroken) return answers;
    }
  }

  /**
   * Sends several requests at once that change something, and waits until the kernel has looked at all of them. What a
   * refusal means for the others is the protocol's.
   * @returns those that it refuses, in their order
   * @throws SystemCallError they cannot be sent, or their answers not be received
   */
  sendAll(requests: readonly Request[], deed: Deed): RefusedRequest[] {
    const { bytes, batch } = this.#encode(requests);
    this.#call("sendto", bytes, deed);
    // All answers are there by now: the kernel gives them before it comes back from the call that sends.
    this.#receive(batch, deed);
    if (batch.refused.length === 0 && batch.awaited > 0) throw systemCallError("netlink", deed, errnos.ENODATA);
    return batch.refused.toSorted((one, other) => one.index - other.index);
  }

  /**
   * Carries out orders one after the other, all by one system call. What follows an order that is refused is carried out
   * as well, if it does not depend on that.
   * @throws SystemCallError the first that is refused, with the kernel's own words as a hint
   */
  carryOut(orders: readonly Order[]): void {
    const [first] = orders;
    if (first === undefined) return;
    const [refused] = this.sendAll(
      orders.map(({ request }) => request),
      first.deed,
    );
    if (refused !== undefined) throw orderError(refused, orders[refused.index] ?? first);
  }

  /**
   * {@link carryOut} by another thread, while the caller goes on: the kernel lets those wait who change its networks while
   * it takes away those of a container that has ended, which is milliseconds. Nothing else is done with the socket before
   * the orders are at their end.
   */
  begin(orders: readonly Order[]): BegunOrders {
    const [first] = orders;
    const { deed } = first ?? { deed: { step: "change the network", path: "" } };
    const { bytes, batch } = this.#encode(orders.map(({ request }) => request));
    let failure: NodeJS.ErrnoException | undefined;
    const sending = new Promise<void>((resolve) => {
      // What is written goes to the kernel, which nothing else is to be asked for. netlink(7)
      write(this.#socket.number, bytes, (error) => {
        failure = error ?? undefined;
        resolve();
      });
    });
    const end = async () => {
      while (batch.awaited > batch.refused.length) {
        if (failure !== undefined) throw systemCallError("write", deed, Math.abs(failure.errno ?? errnos.EIO));
        if (await waitReadable(this.#socket.number, patience)) this.#receive(batch, deed);
      }
      const [refused] = batch.refused.toSorted((one, other) => one.index - other.index);
      if (refused !== undefined) throw orderError(refused, orders[refused.index] ?? { deed });
    };
    return { end, [Symbol.asyncDispose]: () => sending };
  }

  /** Requests for the kernel, which have numbers of their own from now on. */
  #encode(requests: readonly Request[]): { readonly bytes: Buffer; readonly batch: Batch } {
    const first = this.#sequence + 1;
    this.#sequence += requests.length;
    const bytes = Buffer.concat(requests.map((request, index) => encodeRequest(request, first + index)));
    this.#enlargeBuffers(bytes.length, requests.length);
    const awaited = requests.filter(({ isUnacknowledged }) => isUnacknowledged !== true).length;
    return { bytes, batch: { first, count: requests.length, refused: [], awaited } };
  }

  /** Takes the answers that are there. @throws SystemCallError */
  #receive(batch: Batch, deed: Deed): void {
    for (;;) {
      const messages = this.#receiveMessages(deed, MSG_DONTWAIT);
      if (messages === undefined) return;
      for (const message of messages) {
        const index = message.sequence - batch.first;
        if (message.type !== NLMSG_ERROR || index < 0 || index >= batch.count) continue;
        const refusal = decodeRefusal(message);
        if (refusal.errno !== 0) batch.refused.push({ ...refusal, index });
        else batch.awaited--;
      }
    }
  }

  #exchange(request: Request, deed: Deed): Message[] | Refusal {
    const sequence = ++this.#sequence;
    const bytes = encodeRequest(request, sequence);
    this.#call("sendto", bytes, deed);
    const answers: Message[] = [];
    for (;;) {
      for (const message of this.#receiveMessages(deed) ?? []) {
        if (message.sequence !== sequence) continue;
        if (message.type === NLMSG_DONE) return answers;
        if (message.type !== NLMSG_ERROR) {
          answers.push(message);
          continue;
        }
        const refusal = decodeRefusal(message);
        return refusal.errno === 0 ? answers : refusal;
      }
    }
  }

  /** @returns undefined where it would wait and may not */
  #receiveMessages(deed: Deed, flags = 0): Message[] | undefined {
    if (room.length < receiveSize) room = Buffer.allocUnsafe(roomSize);
    const length = this.#call("recvfrom", room, deed, flags | MSG_TRUNC);
    if (length < 0) return undefined;
    if (length > room.length) throw systemCallError("recvfrom", deed, errnos.EMSGSIZE);
    const messages = decodeMessages(room.subarray(0, length));
    room = room.subarray(length);
    return messages;
  }

  /** Above what administrators allow to others. Where the kernel does not, the call that follows tells of it. */
  #enlargeBuffers(bytes: number, requests: number): void {
    const solSocket = 1;
    const [sendBufferForce, receiveBufferForce] = [32, 33];
    if (bytes > fewBytes) this.#set(solSocket, sendBufferForce, bytes * 2);
    if (requests > fewRequests) this.#set(solSocket, receiveBufferForce, requests * answerSize);
  }

  #set(level: number, option: number, value: number): void {
    const number = new Uint32Array([value]);
    const setsockopt = syscallNumber("setsockopt");
    libc.syscall(setsockopt, this.#socket.number, level, option, ptr(number), number.byteLength, 0);
  }

  /** @returns its result; -1 when it would wait and may not */
  #call(name: SyscallName, bytes: Buffer, deed: Deed, flags = 0): number {
    for (;;) {
      const { number: fd } = this.#socket;
      const result = Number(libc.syscall(syscallNumber(name), fd, ptr(bytes), bytes.length, flags, 0, 0));
      if (result >= 0) return result;
      const number = errno();
      if (number === errnos.EAGAIN && (flags & MSG_DONTWAIT) !== 0) return -1;
      if (number !== errnos.EINTR) throw systemCallError(name, deed, number);
    }
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

function orderError(refusal: Refusal, { deed, hints }: Pick<Order, "deed" | "hints">): SystemCallError {
  return refusalError(refusal, deed, hints?.[refusal.errno]);
}

function refusalError({ errno: number, text }: Refusal, deed: Deed, remedy?: string): SystemCallError {
  const words = [
    ...(text === undefined ? [] : [`the kernel says: ${text}`]),
    ...(remedy === undefined ? [] : [remedy]),
  ];
  return systemCallError("netlink", { ...deed, hint: words.length === 0 ? undefined : words.join("; ") }, number);
}

/**
 * A socket of a protocol for the network namespace that gocker itself is in.
 * @param protocol NETLINK_…
 * @param step for the error
 * @throws SystemCallError
 */
export function openNetlink(protocol: number, step: string): OwnedFd {
  const type = SOCK_RAW | O_CLOEXEC;
  const fd = Number(libc.syscall(syscallNumber("socket"), AF_NETLINK, type, protocol, 0, 0, 0));
  if (fd < 0) throw systemCallError("socket", { step });
  return new OwnedFd(fd);
}

/** Questions and orders to the network's devices, addresses and routes. rtnetlink(7) */
export class RouteSocket extends NetlinkSocket {
  /** For the network namespace that gocker itself is in. @throws SystemCallError */
  static open(): RouteSocket {
    return new RouteSocket(openNetlink(NETLINK_ROUTE, "open a socket to the network settings"));
  }
}
