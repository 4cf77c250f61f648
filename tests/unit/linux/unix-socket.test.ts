import { expect, test } from "bun:test";
import { ptr } from "bun:ffi";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { OwnedFd, readSome, writeAll } from "../../../src/linux/fd.ts";
import { libc } from "../../../src/linux/libc.ts";
import { syscallNumber, type SyscallName } from "../../../src/linux/syscalls.ts";
import { connectUnix } from "../../../src/linux/unix-socket.ts";

function call(name: SyscallName, ...[a = 0, b = 0, c = 0]: number[]): number {
  return Number(libc.syscall(syscallNumber(name), a, b, c, 0, 0, 0));
}

/** A socket at which one connection may wait to be taken. listen(2) */
function listening() {
  const directory = mkdtempSync(join(tmpdir(), "gocker-socket-"));
  const path = join(directory, "s");
  const socket = new OwnedFd(call("socket", 1, 1));
  const address = Buffer.alloc(110);
  address.writeUInt16LE(1, 0);
  address.write(path, 2);
  expect(call("bind", socket.number, ptr(address), address.length)).toBe(0);
  expect(call("listen", socket.number, 0)).toBe(0);
  return {
    path,
    socket,
    [Symbol.dispose]() {
      socket.close();
      rmSync(directory, { recursive: true });
    },
  };
}

test("what is sent arrives", () => {
  using server = listening();
  using client = connectUnix(server.path, 1000);
  writeAll(client.number, Buffer.from("sent"));
  using accepted = new OwnedFd(call("accept", server.socket.number));
  expect(Buffer.from(readSome(accepted.number, new Uint8Array(16))).toString()).toBe("sent");
});

test("nobody waits for ever for somebody who takes no connection", () => {
  using server = listening();
  using _first = connectUnix(server.path);
  const before = performance.now();
  expect(() => connectUnix(server.path, 50)).toThrow("resource temporarily unavailable (EAGAIN)");
  expect(performance.now() - before).toBeGreaterThanOrEqual(45);
});

test("where nobody listens, and where no address can be, is told", () => {
  expect(() => connectUnix("/nowhere/s")).toThrow("connect /nowhere/s: no such file or directory (ENOENT)");
  expect(() => connectUnix(`/${"a".repeat(107)}`)).toThrow("the path of the socket is longer than 107 bytes");
});
