const smallest = 4096;

/**
 * Bytes that wait for a reader who takes some of them at a time. They are copied into memory that is used again and
 * again, so that no garbage comes of however many of them.
 */
export class ByteQueue {
  #memory = new Uint8Array(0);
  #start = 0;
  #end = 0;

  /** How many bytes wait. */
  get length(): number {
    return this.#end - this.#start;
  }

  /** Puts bytes at the end. */
  add(bytes: Uint8Array): void {
    this.#makeRoom(bytes.length);
    this.#memory.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  /**
   * Gives out what waits, as long as some of it is taken.
   * @param take is given bytes that are only valid during the call, and tells how many of them it has taken
   */
  drain(take: (bytes: Uint8Array) => number): void {
    while (this.length > 0) {
      const count = take(this.#memory.subarray(this.#start, this.#end));
      if (count === 0) return;
      this.#start += count;
    }
    this.clear();
  }

  /** Throws away what waits. */
  clear(): void {
    this.#start = 0;
    this.#end = 0;
  }

  #makeRoom(count: number): void {
    if (this.#end + count <= this.#memory.length) return;
    const needed = this.length + count;
    // So much is free after what waits is moved that this is not done for each few bytes.
    const hasRoom = needed <= (this.#memory.length * 3) / 4;
    const memory = hasRoom ? this.#memory : new Uint8Array(Math.max(smallest, 2 * needed));
    memory.set(this.#memory.subarray(this.#start, this.#end));
    this.#memory = memory;
    this.#end -= this.#start;
    this.#start = 0;
  }
}
