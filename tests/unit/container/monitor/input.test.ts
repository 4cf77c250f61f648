import { expect, test } from "bun:test";
import { InputQueue } from "../../../../src/container/monitor/input.ts";
import { createPipe, readSome } from "../../../../src/linux/fd.ts";

test("what a container does not read waits, in its order, and holds those up who give more", () => {
  using pipe = createPipe();
  let closed = 0;
  const queue = new InputQueue(pipe.writer.number, () => {
    closed++;
    pipe.writer.close();
  });
  const parts = Array.from({ length: 40 }, (_, index) => new Uint8Array(4096).fill(index));
  for (const part of parts) {
    queue.add(part);
    // The memory of a message is used again.
    part.fill(255);
  }
  expect(queue.takesMore).toBe(false);
  expect(queue.wanted?.fd).toBe(pipe.writer.number);
  queue.end();
  expect(closed).toBe(0);
  const read: number[] = [];
  for (let bytes = readSome(pipe.reader.number, new Uint8Array(4096)); bytes.length > 0;) {
    read.push(bytes[0] as number);
    queue.flush();
    bytes = readSome(pipe.reader.number, new Uint8Array(4096));
  }
  expect(read).toEqual(parts.map((_, index) => index));
  expect({ closed, takesMore: queue.takesMore, wanted: queue.wanted }).toEqual({
    closed: 1,
    takesMore: false,
    wanted: undefined,
  });
});

test("a reader who has gone ends it", () => {
  using pipe = createPipe();
  let closed = 0;
  const queue = new InputQueue(pipe.writer.number, () => closed++);
  pipe.reader.close();
  queue.add(new Uint8Array(1));
  queue.add(new Uint8Array(1));
  expect({ closed, takesMore: queue.takesMore }).toEqual({ closed: 1, takesMore: false });
});
