import { ptr } from "bun:ffi";
import { O_CLOEXEC } from "../constants.ts";
import { errnos, systemCallError } from "../errno.ts";
import { OwnedFd } from "../fd.ts";
import { errno, libc } from "../libc.ts";
import { syscallNumber, type SyscallName } from "../syscalls.ts";
import {
  decodeMessages,
  decodeRefusal,
  encodeRequest,
  type Message,
  NLM_F_DUMP_INTR,
  NLMSG_DONE,
  NLMSG_ERROR,
  type Request,
} from "./message.ts";

export const AF_NETLINK = 16;
export const SOCK_RAW = 3;
export const NETLINK_ROUTE = 0;

const receiveSize = 0x1_0000;

/** What a request is about, for the error when it is refused. */
export interface Deed {
  /** In words, such as "bring up the network device". */
  readonly step: string;
  readonly path: string;
}

/**
 * Questions and orders to the network of one namespace: that which the socket was made in, wherever it is used.
 * rtnetlink(7)
 */
export class RouteSocket implements Disposable {
  readonly #socket: OwnedFd;
  #sequence = 0;

  /** @param socket of NETLINK_ROUTE; owned from now on */
  constructor(socket: OwnedFd) {
    this.#socket = socket;
    const solNetlink = 270;
    const one = new Uint32Array([1]);
    // The kernel's words in refusals, and the filter of what is listed. Older kernels have neither.
    for (const option of [11, 12]) {
      libc.syscall(syscallNumber("setsockopt"), socket.number, solNetlink, option, ptr(one), one.byteLength, 0);
    }
  }

  /** For the network namespace that gocker itself is in. @throws SystemCallError */
  static open(): RouteSocket {
    const type = SOCK_RAW | O_CLOEXEC;
    const fd = Number(libc.syscall(syscallNumber("socket"), AF_NETLINK, type, NETLINK_ROUTE, 0, 0, 0));
    if (fd < 0) throw systemCallError("socket", { step: "open a socket to the network settings" });
    return new RouteSocket(new OwnedFd(fd));
  }

  /**
   * Sends a request and waits for the end of its answer, which the kernel gives at once.
   * @returns what it answers with besides that it is done
   * @throws SystemCallError with the kernel's own words as a hint
   */
  request(request: Request, deed: Deed): Message[] {
    for (;;) {
      const answers = this.#exchange(request, deed);
      // Things changed while they were listed.
      if (!answers.some(({ flags }) => (flags & NLM_F_DUMP_INTR) !== 0)) return answers;
    }
  }

  #exchange(request: Request, deed: Deed): Message[] {
    const sequence = ++this.#sequence;
    const bytes = encodeRequest(request, sequence);
    this.#call("sendto", bytes, deed);
    const answers: Message[] = [];
    const buffer = Buffer.alloc(receiveSize);
    for (;;) {
      const length = this.#call("recvfrom", buffer, deed);
      for (const message of decodeMessages(buffer.subarray(0, length))) {
        if (message.sequence !== sequence) continue;
        if (message.type === NLMSG_DONE) return answers;
        if (message.type !== NLMSG_ERROR) {
          answers.push({ ...message, body: Buffer.from(message.body) });
          continue;
        }
        const { errno: number, text } = decodeRefusal(message);
        if (number === 0) return answers;
        const hint = text === undefined ? undefined : `the kernel says: ${text}`;
        throw systemCallError("netlink", { ...deed, hint }, number);
      }
    }
  }

  #call(name: SyscallName, bytes: Buffer, deed: Deed): number {
    for (;;) {
      const { number: fd } = this.#socket;
      const result = Number(libc.syscall(syscallNumber(name), fd, ptr(bytes), bytes.length, 0, 0, 0));
      if (result >= 0) return result;
      const number = errno();
      if (number !== errnos.EINTR) throw systemCallError(name, deed, number);
    }
  }

  [Symbol.dispose](): void {
    this.#socket.close();
  }
}
