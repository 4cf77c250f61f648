import { ptr } from "bun:ffi";
import { hostArchitecture } from "./arch.ts";
import { errno, libc } from "./libc.ts";
import { errnos, systemCallError } from "./errno.ts";
import { OwnedFd } from "./fd.ts";
import { syscallNumber } from "./syscalls.ts";

/** A `struct epoll_event` is what is waited for and eight bytes of the caller's; packed on x86-64. epoll_ctl(2) */
const eventSize = hostArchitecture === "x86_64" ? 12 : 16;
const dataOffset = eventSize - 8;

/** EPOLL_CLOEXEC, and what is done to a set. epoll_create1(2), epoll_ctl(2) */
const closeOnExec = 0o2000000;
const controls = { add: 1, remove: 2, change: 3 } as const;

/** How many descriptors are served before others than those of the set have their turn. */
const mostAtOnce = 256;

/** One descriptor of a {@link WatchSet}. */
export interface Watch {
  /**
   * Waits for something else (of `pollEvent`, whose numbers are epoll's too); 0 for nothing, not even for its hanging up.
   * @throws SystemCallError
   */
  change(events: number): void;
  /** To be done before the descriptor is closed: who has a copy of it would keep it in the set. */
  end(): void;
}

/**
 * Many descriptors that are waited for as one, which costs by how many of them are ready and not by how many there are.
 * epoll(7)
 */
export class WatchSet implements Disposable {
  readonly #set: OwnedFd;
  /** By a number that no other descriptor gets: what is told of one that has gone meanwhile is nobody's. */
  readonly #served = new Map<number, (ready: number) => void>();
  readonly #ready = new DataView(new ArrayBuffer(mostAtOnce * eventSize));
  #count = 0;

  /** @throws SystemCallError */
  constructor() {
    const number = Number(libc.syscall(syscallNumber("epoll_create1"), closeOnExec, 0, 0, 0, 0, 0));
    if (number < 0) throw systemCallError("epoll_create1");
    this.#set = new OwnedFd(number);
  }

  /** Readable for poll(2) when {@link serve} has something to do. */
  get number(): number {
    return this.#set.number;
  }

  /** @throws SystemCallError */
  add(fd: OwnedFd, events: number, serve: (ready: number) => void): Watch {
    const key = ++this.#count;
    let current = 0;
    const change = (next: number) => {
      if (next === current) return;
      const control = current === 0 ? controls.add : next === 0 ? controls.remove : controls.change;
      this.#control(control, fd.number, next, key);
      current = next;
    };
    change(events);
    this.#served.set(key, serve);
    return {
      change,
      end: () => {
        change(0);
        this.#served.delete(key);
      },
    };
  }

  #control(control: number, fd: number, events: number, key: number): void {
    const event = new DataView(new ArrayBuffer(eventSize));
    event.setUint32(0, events, true);
    event.setFloat64(dataOffset, key);
    const call = syscallNumber("epoll_ctl");
    if (Number(libc.syscall(call, this.#set.number, control, fd, ptr(event), 0, 0)) < 0)
      throw systemCallError("epoll_ctl");
  }

  /** Serves what is ready, without waiting for anything. epoll_pwait(2) @throws SystemCallError */
  serve(): void {
    const call = syscallNumber("epoll_pwait");
    const count = Number(libc.syscall(call, this.#set.number, ptr(this.#ready), mostAtOnce, 0, 0, 0));
    if (count < 0 && errno() !== errnos.EINTR) throw systemCallError("epoll_pwait");
    for (let offset = 0; offset < count * eventSize; offset += eventSize) {
      const serve = this.#served.get(this.#ready.getFloat64(offset + dataOffset));
      serve?.(this.#ready.getUint32(offset, true));
    }
  }

  [Symbol.dispose](): void {
    this.#served.clear();
    this.#set.close();
  }
}
