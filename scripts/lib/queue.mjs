/**
 * Runs work, so many pieces at once, in the order in which it is given as far as what they say of themselves allows.
 * @template {{ readonly alone: string | undefined, readonly shares: string | undefined }} T `alone`: nothing else runs
 *   beside it; `shares`: nothing that shares the same runs beside it
 * @param {readonly T[]} pieces
 * @param {number} slots how many run at once
 * @param {(piece: T) => Promise<void>} run
 */
export async function runQueue(pieces, slots, run) {
  const waiting = [...pieces];
  /** @type {Map<T, Promise<void>>} */
  const running = new Map();
  const mayBegin = (/** @type {T} */ piece) => {
    if (piece.alone !== undefined) return running.size === 0;
    return piece.shares === undefined || ![...running.keys()].some(({ shares }) => shares === piece.shares);
  };
  const isOneAlone = () => [...running.keys()].some(({ alone }) => alone !== undefined);
  while (waiting.length > 0 || running.size > 0) {
    const next = running.size < slots && !isOneAlone() ? waiting.findIndex(mayBegin) : -1;
    if (next < 0) {
      await Promise.race(running.values());
      continue;
    }
    for (const piece of waiting.splice(next, 1)) {
      running.set(
        piece,
        run(piece).finally(() => running.delete(piece)),
      );
    }
  }
}
