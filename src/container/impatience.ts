/**
 * Milliseconds within which the third request to end is impatience. Who presses ctrl-C again because nothing happens is
 * faster than that; what scripts and supervisors repeat while a container ends in its own time comes farther apart.
 */
export const shortTime = 2_000;

/** As docker has it, whose client leaves at the third. */
const most = 3;

/** Counts the requests to end (SIGINT, SIGTERM) that follow each other quickly. */
export class Impatience {
  /** When the last ones came, in the milliseconds of {@link note}. */
  #asked: number[] = [];

  /**
   * Counts one.
   * @param now in milliseconds, by any clock that does not go back
   * @returns whether it is the third within {@link shortTime}
   */
  note(now: number): boolean {
    this.#asked = [...this.#asked, now].slice(-most);
    const [first] = this.#asked;
    return this.#asked.length === most && first !== undefined && now - first < shortTime;
  }
}
