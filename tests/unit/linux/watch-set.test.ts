import { describe, expect, test } from "bun:test";
import { createPipe, createSocketPair, duplicate, readSome, writeAll } from "../../../src/linux/fd.ts";
import { pollAll, pollEvent } from "../../../src/linux/poll.ts";
import { WatchSet } from "../../../src/linux/watch-set.ts";

const { readable, writable, hungUp } = pollEvent;
const isReady = ({ number }: WatchSet) => pollAll([{ fd: number, events: readable }], 0)[0] !== 0;

describe("descriptors that are waited for as one", () => {
  test("are served when they are ready, and as long as they are", () => {
    using set = new WatchSet();
    using pipes = new DisposableStack();
    const served: number[] = [];
    const all = Array.from({ length: 600 }, () => pipes.use(createPipe()));
    all.forEach(({ reader }, index) => set.add(reader, readable, () => void served.push(index)));
    expect(isReady(set)).toBe(false);
    for (const index of [3, 599]) writeAll(all[index]!.writer.number, Uint8Array.of(1));
    expect(isReady(set)).toBe(true);
    set.serve();
    set.serve();
    expect(served.toSorted((one, other) => one - other)).toEqual([3, 3, 599, 599]);
    for (const index of [3, 599]) readSome(all[index]!.reader.number, new Uint8Array(1));
    expect(isReady(set)).toBe(false);
    // More than are served at once: the others come next.
    for (const { writer } of all) writeAll(writer.number, Uint8Array.of(1));
    served.length = 0;
    for (let round = 0; round < 3; round++) set.serve();
    expect(new Set(served).size).toBe(600);
  });

  test("are told of what they are waited for, of nothing when that is nothing, and not when they have ended", () => {
    using set = new WatchSet();
    using pair = createSocketPair();
    const served: number[] = [];
    const watch = set.add(pair.reader, readable | writable, (ready) => void served.push(ready));
    set.serve();
    watch.change(readable);
    expect(isReady(set)).toBe(false);
    watch.change(0);
    pair.writer.close();
    expect(isReady(set)).toBe(false);
    watch.change(readable);
    set.serve();
    watch.end();
    expect(isReady(set)).toBe(false);
    expect(served).toEqual([writable, readable | hungUp]);
    // Whoever still has it open does not keep it there.
    using again = createPipe();
    const other = set.add(again.reader, readable, () => void served.push(0));
    using _copy = duplicate(again.reader.number);
    writeAll(again.writer.number, Uint8Array.of(1));
    other.end();
    again.reader.close();
    expect(isReady(set)).toBe(false);
  });

  test("are not served for another one that was ready and has ended in the same round", () => {
    using set = new WatchSet();
    using pipes = new DisposableStack();
    const both = [0, 1].map(() => pipes.use(createPipe()));
    let count = 0;
    const watches = both.map(({ reader }) =>
      set.add(reader, readable, () => {
        count++;
        for (const watch of watches) watch.end();
        for (const pair of both) pair.reader.close();
        set.add(pipes.use(createPipe()).reader, readable, () => void (count += 100));
      }),
    );
    for (const { writer } of both) writeAll(writer.number, Uint8Array.of(1));
    set.serve();
    expect(count).toBe(1);
  });
});
