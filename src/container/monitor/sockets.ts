import type { OwnedFd } from "../../linux/fd.ts";
import type { MonitorDescriptors } from "./state.ts";

type Numbers = Pick<MonitorDescriptors, "names" | "ports">;

/** Sockets that a monitor serves for its container, until they are its own. */
export class MonitorSockets implements Disposable {
  readonly #names: readonly OwnedFd[];
  readonly #ports: readonly OwnedFd[];

  /** @param names of UDP and TCP, at which the container asks for names; none: it does not ask gocker */
  constructor(names: readonly OwnedFd[], ports: readonly OwnedFd[]) {
    this.#names = names;
    this.#ports = ports;
  }

  get isEmpty(): boolean {
    return this.#names.length === 0 && this.#ports.length === 0;
  }

  get numbers(): Numbers {
    return this.#describe((fd) => fd.number);
  }

  /** Their numbers, which are the caller's to close from now on. */
  release(): Numbers {
    return this.#describe((fd) => fd.release());
  }

  #describe(numberOf: (fd: OwnedFd) => number): Numbers {
    return {
      ...(this.#names.length > 0 && { names: this.#names.map(numberOf) }),
      ...(this.#ports.length > 0 && { ports: this.#ports.map(numberOf) }),
    };
  }

  [Symbol.dispose](): void {
    for (const fd of [...this.#names, ...this.#ports]) fd.close();
  }
}
