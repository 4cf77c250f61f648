import { expect, test } from "bun:test";
import { ByteQueue } from "../../../src/util/byte-queue.ts";

test("what is added comes out in its order, whatever is taken at a time", () => {
  const queue = new ByteQueue();
  const taken: number[] = [];
  let added = 0;
  for (let round = 1; round < 300; round++) {
    const bytes = Uint8Array.from({ length: (round * 37) % 5000 }, () => added++ % 251);
    queue.add(bytes);
    // The memory of what was added is used again.
    bytes.fill(255);
    let most = (round * 53) % 9000;
    queue.drain((waiting) => {
      const count = Math.min(most, waiting.length, 1000);
      most -= count;
      taken.push(...waiting.subarray(0, count));
      return count;
    });
    expect(queue.length).toBe(added - taken.length);
  }
  queue.drain((waiting) => taken.push(...waiting) && waiting.length);
  expect(queue.length).toBe(0);
  expect(taken.length).toBe(added);
  expect(taken.every((byte, index) => byte === index % 251)).toBe(true);
});

test("what is thrown away does not come out", () => {
  const queue = new ByteQueue();
  queue.add(Uint8Array.of(1, 2, 3));
  queue.clear();
  queue.add(Uint8Array.of(4));
  const taken: number[] = [];
  queue.drain((waiting) => taken.push(...waiting));
  expect(taken).toEqual([4]);
});

test("its memory does not grow with what goes through it", () => {
  const queue = new ByteQueue();
  const memories = new Set<ArrayBufferLike>();
  for (let round = 0; round < 1000; round++) {
    queue.add(new Uint8Array(3000));
    queue.drain((waiting) => {
      memories.add(waiting.buffer);
      return waiting.length > 1000 ? waiting.length - 1000 : 0;
    });
  }
  expect(memories.size).toBeLessThan(5);
});
