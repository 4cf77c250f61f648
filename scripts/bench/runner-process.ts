/**
 * Runs commands one after the other and takes their time: see runner.ts, which starts this in a mount namespace of its
 * own. Whatever is mounted here is gone when this process is.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Answer, Request, Sample } from "./protocol.ts";

const gigabyte = 2 ** 30;
const fileSystemSize = 16 * gigabyte;

// A terminal's ctrl-C reaches the whole process group, and so does what timeout(1) sends. The benchmark decides when this
// ends: by closing stdin, when it has removed the containers that outlive their commands.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => {});

if (process.argv.includes("--for-peers")) hideHost();
for await (const line of console) {
  // The end of stdin comes as an empty line.
  if (line !== "") process.stdout.write(`${JSON.stringify(answer(JSON.parse(line) as Request))}\n`);
}

function answer(request: Request): Answer {
  try {
    switch (request.kind) {
      case "run":
        return { sample: run(request) };
      case "mount":
        mountFresh(request.image, request.mountPoint);
        break;
      case "count":
        checkCount(request.mountPoint, request.atLeast);
        break;
      case "unmount":
        mustSucceed("umount", request.mountPoint);
        break;
    }
    return { done: true };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

/**
 * Gives the peers a machine without traces of theirs: their fixed directories are empty here, and what else they leave in
 * /var/lib, such as the results of CNI, lies in memory. And crun refuses hosts that have both versions of cgroups, so the
 * unified hierarchy is hidden from it.
 */
function hideHost(): void {
  mustSucceed("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run");
  const written = "/run/gocker-bench";
  mkdirSync(join(written, "upper"), { recursive: true });
  mkdirSync(join(written, "work"));
  const layers = `lowerdir=/var/lib,upperdir=${written}/upper,workdir=${written}/work`;
  mustSucceed("mount", "-t", "overlay", "-o", layers, "overlay", "/var/lib");
  if (existsSync("/var/lib/containers"))
    mustSucceed("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/var/lib/containers");
  const unified = "/sys/fs/cgroup/unified";
  if (existsSync(join(unified, "cgroup.controllers"))) mustSucceed("umount", unified);
}

function run({ command, environment, memory }: Extract<Request, { kind: "run" }>): Sample {
  // What a vfork'ed child inherits of this process's peak would hide its own: so time(1), which is small, stands between.
  const scratch = memory ? mkdtempSync(join(tmpdir(), "gocker-bench-time-")) : undefined;
  const report = scratch === undefined ? "" : join(scratch, "peak");
  const words = scratch === undefined ? command : ["/usr/bin/time", "-q", "-f", "%M", "-o", report, ...command];
  try {
    const start = Bun.nanoseconds();
    const result = Bun.spawnSync([...words], { env: environment, stdio: ["ignore", "ignore", "pipe"] });
    const wall = (Bun.nanoseconds() - start) / 1e6;
    if (result.exitCode !== 0) {
      const reason = result.stderr.toString().trim().split("\n").slice(-3).join(" | ");
      throw new Error(`${command.join(" ")} ended with ${result.exitCode}: ${reason}`);
    }
    const cpu = Number(result.resourceUsage.cpuTime.total) / 1000;
    return scratch === undefined
      ? { wall, cpu }
      : { wall, cpu, peakBytes: Number(readFileSync(report, "utf8")) * 1024 };
  } finally {
    if (scratch !== undefined) rmSync(scratch, { recursive: true });
  }
}

/** A file system that nothing was ever deleted from: ext4 unpacks several times slower shortly after a large delete. */
function mountFresh(image: string, mountPoint: string): void {
  if (!existsSync(image)) mustSucceed("truncate", "-s", String(fileSystemSize), image);
  // Without discard the file keeps the blocks that it has, so that only the first use pays for their allocation.
  mustSucceed("mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=1,lazy_journal_init=1", image);
  mkdirSync(mountPoint, { recursive: true });
  // noinit_itable: no kernel thread writes inode tables while we measure.
  mustSucceed("mount", "-o", "loop,noinit_itable", image, mountPoint);
  mustSucceed("sync");
}

function checkCount(mountPoint: string, atLeast: number): void {
  const { files, ffree } = statfsSync(mountPoint);
  if (files - ffree < atLeast) throw new Error(`only ${files - ffree} of ${atLeast} files were unpacked`);
}

function mustSucceed(...command: string[]): void {
  const result = Bun.spawnSync(command, { stdio: ["ignore", "ignore", "pipe"] });
  if (result.exitCode !== 0) throw new Error(`${command.join(" ")}: ${result.stderr.toString().trim()}`);
}
