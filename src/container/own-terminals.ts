import { hasHungUp, isTerminal } from "../linux/terminal.ts";

/** Those of gocker's own standard descriptors that are terminals when this is made. */
export class OwnTerminals {
  readonly #descriptors = [0, 1, 2].filter(isTerminal);

  /** Whether one of them is gone: its window was closed, or its connection cut off. */
  haveHungUp(): boolean {
    return this.#descriptors.some(hasHungUp);
  }
}
