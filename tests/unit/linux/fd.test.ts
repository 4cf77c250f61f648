import { describe, expect, test } from "bun:test";
import { fstatSync, readFileSync, readdirSync } from "node:fs";
import { errnos } from "../../../src/linux/errno.ts";
import {
  createPipe,
  createSealedMemfd,
  createSocketPair,
  duplicate,
  makeNonBlocking,
  OwnedFd,
  readSome,
  waitReadable,
  writeAll,
  writePatiently,
} from "../../../src/linux/fd.ts";
import { libc } from "../../../src/linux/libc.ts";
import { fileCalls } from "../../../src/linux/libc-files.ts";

function errorNumber(action: () => unknown): number | undefined {
  try {
    action();
  } catch (error) {
    return (error as { errno?: number }).errno;
  }
  return undefined;
}

const closesOnExec = (fd: number) => {
  const flags = /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1] ?? "0";
  return (Number.parseInt(flags, 8) & 0o2000000) !== 0;
};

/** Fills a pipe to the brim. */
function fill(fd: number): void {
  makeNonBlocking(fd);
  const chunk = new Uint8Array(1 << 12);
  while (Number(libc.write(fd, chunk, chunk.length)) > 0);
}

describe("an owned descriptor", () => {
  test("is closed once, and not when it was given away", () => {
    using pipe = createPipe();
    const { number } = pipe.reader;
    const given = duplicate(number);
    const released = given.release();
    given.close();
    expect(() => given.number).toThrow("closed");
    expect(fstatSync(released).isFIFO()).toBe(true);
    const owner = new OwnedFd(released);
    owner[Symbol.dispose]();
    owner.close();
    expect(errorNumber(() => fstatSync(released))).toBe(-errnos.EBADF);
  });

  test("closes on exec, as do the ends of pipes and sockets", () => {
    using pipe = createPipe();
    using sockets = createSocketPair();
    using copy = duplicate(pipe.reader.number);
    for (const each of [pipe.reader, pipe.writer, sockets.reader, sockets.writer, copy]) {
      expect(closesOnExec(each.number)).toBe(true);
    }
    expect(copy.number).toBeGreaterThan(2);
  });
});

test("a sealed file has its parts in their places, and nobody can change it", () => {
  using file = createSealedMemfd("test", [
    { offset: 0, bytes: Buffer.from("one") },
    { offset: 0x1_0000, bytes: Buffer.from("two") },
  ]);
  const content = readFileSync(`/proc/self/fd/${file.number}`);
  expect(content.length).toBe(0x1_0003);
  expect([content.toString("latin1", 0, 4), content.toString("latin1", 0x1_0000)]).toEqual(["one\0", "two"]);
  expect(Number(libc.pwrite(file.number, Buffer.from("x"), 1, 0))).toBe(-1);
  expect(fileCalls.ftruncate(file.number, 0)).toBe(-1);
  expect(closesOnExec(file.number)).toBe(true);
});

test("what cannot be made leaves nothing open", () => {
  const before = readdirSync("/proc/self/fd").length;
  expect(() => createSealedMemfd("x".repeat(300), [])).toThrow("memfd_create");
  expect(() => duplicate(9999)).toThrow("EBADF");
  expect(readdirSync("/proc/self/fd").length).toBe(before);
});

describe("writing", () => {
  test("all of it, though the other end takes it bit by bit", async () => {
    using pipe = createPipe();
    const bytes = new Uint8Array(300_000).map((_, index) => index);
    makeNonBlocking(pipe.writer.number);
    const received: Uint8Array[] = [];
    const writing = writePatiently(() => pipe.writer.number, bytes).then(() => pipe.writer.close());
    for (;;) {
      await waitReadable(pipe.reader.number);
      const chunk = readSome(pipe.reader.number, new Uint8Array(10_000));
      if (chunk.length === 0) break;
      received.push(chunk.slice());
      await Bun.sleep(0);
    }
    await writing;
    expect(Buffer.concat(received).equals(Buffer.from(bytes))).toBe(true);
  });

  test("patiently lets others go on, and ends when the descriptor is closed meanwhile", async () => {
    using pipe = createPipe();
    fill(pipe.writer.number);
    let open = true;
    const writing = writePatiently(() => (open ? pipe.writer.number : undefined), new Uint8Array(1));
    let wentOn = false;
    setTimeout(() => {
      wentOn = true;
      open = false;
    }, 0);
    await writing;
    expect(wentOn).toBe(true);
  });

  test("fails when nobody reads any more", async () => {
    using pipe = createPipe();
    pipe.reader.close();
    expect(errorNumber(() => writeAll(pipe.writer.number, new Uint8Array(1)))).toBe(errnos.EPIPE);
    const writing = writePatiently(() => pipe.writer.number, new Uint8Array(1));
    expect(writing).rejects.toMatchObject({ errno: errnos.EPIPE });
    await writing.catch(() => {});
  });
});

describe("waiting", () => {
  test("ends when there is something to read, or the other end is gone", async () => {
    using pipe = createPipe();
    let ready = false;
    const waiting = waitReadable(pipe.reader.number).then(() => (ready = true));
    await Bun.sleep(1);
    expect(ready).toBe(false);
    writeAll(pipe.writer.number, new Uint8Array(1));
    await waiting;
    readSome(pipe.reader.number, new Uint8Array(1));
    pipe.writer.close();
    await waitReadable(pipe.reader.number);
    expect(readSome(pipe.reader.number, new Uint8Array(1))).toHaveLength(0);
  });
});
