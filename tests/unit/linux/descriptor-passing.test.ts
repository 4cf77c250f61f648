import { expect, test } from "bun:test";
import { ptr } from "bun:ffi";
import { fstatSync } from "node:fs";
import { receiveDescriptor, sendWithDescriptor } from "../../../src/linux/descriptor-passing.ts";
import { createPipe, createSocketPair, readSome, writeAll } from "../../../src/linux/fd.ts";
import { libc } from "../../../src/linux/libc.ts";
import { syscallNumber } from "../../../src/linux/syscalls.ts";
import { setSendTimeout } from "../../../src/linux/unix-socket.ts";
import { InvalidDocumentError } from "../../../src/util/errors.ts";
import { patience } from "../../helpers/patience.ts";

/** Sends descriptors as the plan does. sendmsg(2), cmsg(3) */
function send(socket: number, descriptors: number[]): void {
  const data = new Uint8Array(1);
  const iov = new BigUint64Array([BigInt(ptr(data)), 1n]);
  const control = new Int32Array(4 + descriptors.length + (descriptors.length % 2));
  control.set([16 + descriptors.length * 4, 0, 1, 1, ...descriptors]);
  const message = new BigUint64Array([
    0n,
    0n,
    BigInt(ptr(iov)),
    1n,
    BigInt(ptr(control)),
    BigInt(control.byteLength),
    0n,
  ]);
  expect(Number(libc.syscall(syscallNumber("sendmsg"), socket, ptr(message), 0, 0, 0, 0))).toBe(1);
}

test("a descriptor arrives as one of the same open file", () => {
  using sockets = createSocketPair();
  using pipe = createPipe();
  send(sockets.writer.number, [pipe.reader.number]);
  using received = receiveDescriptor(sockets.reader.number, "the terminal");
  expect(received?.number).not.toBe(pipe.reader.number);
  expect(fstatSync(received?.number ?? -1).ino).toBe(fstatSync(pipe.reader.number).ino);
});

test("bytes are sent whole, with a descriptor beside the first", () => {
  using sockets = createSocketPair();
  using pipe = createPipe();
  sendWithDescriptor(sockets.writer.number, Buffer.from("a message"), pipe.reader.number, "send it");
  sockets.writer.close();
  using received = receiveDescriptor(sockets.reader.number, "the pipe");
  expect(fstatSync(received?.number ?? -1).ino).toBe(fstatSync(pipe.reader.number).ino);
  // The first byte has come with the descriptor.
  expect(Buffer.from(readSome(sockets.reader.number, new Uint8Array(64))).toString()).toBe(" message");
});

test("a message that is longer than what the socket holds is sent whole, as it is read", async () => {
  using sockets = createSocketPair();
  using pipe = createPipe();
  const reader = Bun.spawn(["wc", "-c"], { stdin: sockets.reader.number, stdout: "pipe" });
  sendWithDescriptor(sockets.writer.number, Buffer.alloc(1 << 20), pipe.reader.number, "send it", patience(10_000));
  sockets.writer.close();
  expect((await reader.stdout.text()).trim()).toBe(String(1 << 20));
});

test.each(["a socket that waits", "one that gives up by itself"])("%s for a reader that never comes", (kind) => {
  using sockets = createSocketPair();
  using pipe = createPipe();
  if (kind.startsWith("one")) setSendTimeout(sockets.writer.number, 10);
  const before = performance.now();
  expect(() =>
    sendWithDescriptor(sockets.writer.number, Buffer.alloc(1 << 20), pipe.reader.number, "send it", 50),
  ).toThrow("send it: sendmsg: connection timed out (ETIMEDOUT)");
  expect(performance.now() - before).toBeWithin(49, patience(5_000));
});

test("what nobody takes is an error and no signal", () => {
  using sockets = createSocketPair();
  using pipe = createPipe();
  sockets.reader.close();
  expect(() =>
    sendWithDescriptor(sockets.writer.number, Buffer.from("a message"), pipe.reader.number, "send it"),
  ).toThrow("send it: sendmsg: broken pipe (EPIPE)");
});

test("an end without a descriptor is told as such", () => {
  using sockets = createSocketPair();
  sockets.writer.close();
  expect(receiveDescriptor(sockets.reader.number, "the terminal")).toBeUndefined();
});

test("a message that carries none is refused", () => {
  using sockets = createSocketPair();
  writeAll(sockets.writer.number, new Uint8Array(1));
  expect(() => receiveDescriptor(sockets.reader.number, "the terminal")).toThrow(InvalidDocumentError);
  writeAll(sockets.writer.number, new Uint8Array(1));
  expect(() => receiveDescriptor(sockets.reader.number, "the terminal")).toThrow(
    "the message that should bring the terminal carries no descriptor",
  );
});
