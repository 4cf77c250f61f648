import { errnos, systemCallError } from "./errno.ts";
import { errno, libc } from "./libc.ts";

/** What can be waited for, and what came of it. poll(2) */
export const pollEvent = { readable: 1, writable: 4, failed: 8, hungUp: 16 } as const;

/** One entry of a `struct pollfd` is eight bytes: the descriptor, what is waited for, what there is. */
const entrySize = 8;

/** The bytes of a `struct pollfd[]`. */
export function pollEntries(wanted: readonly { readonly fd: number; readonly events: number }[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(wanted.length * entrySize));
  wanted.forEach(({ fd, events }, index) => {
    view.setInt32(index * entrySize, fd, true);
    view.setInt16(index * entrySize + 4, events, true);
  });
  return new Uint8Array(view.buffer);
}

/**
 * Waits, and the thread with it, until one of the descriptors is ready, hung up or broken.
 * @param milliseconds after which it is enough; -1 for ever
 * @returns what each descriptor has (of {@link pollEvent}), in their order: 0 for nothing; all 0 when the time is over or
 *   a signal came
 * @throws SystemCallError
 */
export function pollAll(
  wanted: readonly { readonly fd: number; readonly events: number }[],
  milliseconds: number,
): number[] {
  const entries = pollEntries(wanted);
  if (libc.poll(entries, wanted.length, milliseconds) < 0 && errno() !== errnos.EINTR) throw systemCallError("poll");
  const view = new DataView(entries.buffer);
  return wanted.map((_, index) => view.getInt16(index * entrySize + 6, true));
}
