import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { FileLock } from "../../../src/linux/lock.ts";

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "gocker-lock-"));
  path = join(directory, "lock");
});
afterEach(() => rmSync(directory, { recursive: true }));

describe("FileLock", () => {
  test("an exclusive lock excludes all others, shared ones do not exclude each other", () => {
    const one = FileLock.tryAcquire(path, "shared");
    const other = FileLock.tryAcquire(path, "shared");
    expect(one).toBeDefined();
    expect(other).toBeDefined();
    expect(FileLock.tryAcquire(path, "exclusive")).toBeUndefined();
    one?.release();
    other?.release();
    using exclusive = FileLock.tryAcquire(path, "exclusive");
    expect(exclusive).toBeDefined();
    expect(FileLock.tryAcquire(path, "shared")).toBeUndefined();
  });

  test("acquire waits until the holder lets go, and says that it waits", async () => {
    const holder = FileLock.tryAcquire(path, "exclusive");
    const waits = Promise.withResolvers<void>();
    const acquiring = FileLock.acquire(path, "exclusive", { onWait: waits.resolve });
    await waits.promise;
    holder?.release();
    using lock = await acquiring;
    expect(lock.path).toBe(path);
  });

  test("a lock that must be there already is not made", async () => {
    expect(() => FileLock.tryAcquire(path, "exclusive", "there")).toThrow("ENOENT");
    const holder = FileLock.tryAcquire(path, "exclusive");
    // Its holder removes it while another waits for it.
    const acquiring = FileLock.acquire(path, "exclusive", { file: "there", onWait: () => holder?.removeAndRelease() });
    await expect(acquiring).rejects.toThrow("ENOENT");
    expect(existsSync(path)).toBe(false);
  });

  test("acquire can be given up", async () => {
    using _holder = FileLock.tryAcquire(path, "exclusive");
    const aborting = new AbortController();
    const acquiring = FileLock.acquire(path, "shared", {
      signal: aborting.signal,
      onWait: () => aborting.abort(new Error("given up")),
    });
    await expect(acquiring).rejects.toThrow("given up");
  });

  test("who waits for a lock whose file is removed gets a lock of the new file", async () => {
    const holder = await FileLock.acquire(path, "exclusive");
    const waits = Promise.withResolvers<void>();
    const acquiring = FileLock.acquire(path, "exclusive", { onWait: waits.resolve });
    await waits.promise;
    holder.removeAndRelease();
    holder.removeAndRelease();
    using _lock = await acquiring;
    expect(existsSync(path)).toBe(true);
    expect(FileLock.tryAcquire(path, "exclusive")).toBeUndefined();
  });

  test("the lock of a killed process is free", async () => {
    const module = resolve(import.meta.dir, "../../../src/linux/lock.ts");
    const script = `
      const { FileLock } = await import(${JSON.stringify(module)});
      globalThis.lock = await FileLock.acquire(${JSON.stringify(path)}, "exclusive");
      console.log("held");
      setInterval(() => {}, 1000);
    `;
    const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
    try {
      const { value } = await child.stdout.getReader().read();
      expect(new TextDecoder().decode(value)).toBe("held\n");
      expect(FileLock.tryAcquire(path, "shared")).toBeUndefined();
    } finally {
      child.kill("SIGKILL");
      await child.exited;
    }
    using lock = await FileLock.acquire(path, "exclusive");
    expect(lock).toBeDefined();
  });

  test("an error of the kernel is passed on", () => {
    expect(() => FileLock.tryAcquire(join(directory, "missing", "lock"), "shared")).toThrow("ENOENT");
  });
});
