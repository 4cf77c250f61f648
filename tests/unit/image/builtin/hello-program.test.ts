import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, closeSync, openSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { hostname, release } from "node:os";
import { join } from "node:path";
import { helloExecutable } from "../../../../src/image/builtin/hello-program.ts";
import { hostArchitecture } from "../../../../src/linux/arch.ts";
import { helloGreeting, helloNamespaces, helloSystemCalls, helloUser } from "../../../helpers/hello.ts";
import { isRoot, TemporaryDirectory } from "../../../helpers/temporary.ts";

// The program needs no container: outside one it tells what this process is, sees and may do.

const directory = new TemporaryDirectory("hello");
const programs = { x86_64: join(directory.path, "x86_64"), aarch64: join(directory.path, "aarch64") };
const emulators = { x86_64: "qemu-x86_64-static", aarch64: "qemu-aarch64-static" };

beforeAll(() => {
  // Other users run it, too.
  chmodSync(directory.path, 0o755);
  for (const architecture of ["x86_64", "aarch64"] as const) {
    writeFileSync(programs[architecture], helloExecutable(architecture), { mode: 0o755 });
  }
});
afterAll(() => directory[Symbol.dispose]());

function run(command: string[], stdout: "pipe" | number = "pipe") {
  const child = Bun.spawnSync(command, { stdin: "ignore", stdout, stderr: "pipe" });
  return {
    pid: child.pid,
    stdout: child.stdout?.toString(),
    stderr: child.stderr.toString(),
    exitCode: child.exitCode,
  };
}

function runInto(path: string, mode: "a" | "w", command: string[]) {
  const file = openSync(path, mode);
  try {
    return run(command, file);
  } finally {
    closeSync(file);
  }
}

/** The bits of the bounding set in /proc/self/status, and how many the kernel has. */
function capabilities(): string {
  const set = /^CapBnd:\t([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "";
  const held = BigInt(`0x${set}`).toString(2).replaceAll("0", "").length;
  const known = Number(readFileSync("/proc/sys/kernel/cap_last_cap", "utf8")) + 1;
  return `${String(held).padStart(2)} of the ${known}`;
}

function expected(pid: number): string {
  const kinds = ["mnt", "pid", "uts", "ipc", "cgroup", "net"];
  const seccomp = /^Seccomp:\t(\d)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
  return helloGreeting({
    namespaces: Object.fromEntries(kinds.map((kind) => [kind, readlinkSync(`/proc/self/ns/${kind}`)])),
    pid: String(pid),
    hostName: hostname(),
    kernel: release(),
    user: isRoot ? helloUser.root : helloUser.other,
    capabilities: capabilities(),
    systemCalls: seccomp === "0" ? helloSystemCalls.all : helloSystemCalls.filtered,
  });
}

for (const architecture of ["x86_64", "aarch64"] as const) {
  const emulator = architecture === hostArchitecture ? [] : [emulators[architecture]];
  const isMissing = emulator.some((program) => Bun.which(program) === null);
  const name = `${architecture}${isMissing ? ` (needs ${emulator.join()})` : ""}`;

  describe.skipIf(isMissing)(name, () => {
    const command = [...emulator, programs[architecture]];

    test("prints what the kernel says of it", () => {
      const { pid, ...result } = run(command);
      expect(result).toEqual({ stdout: expected(pid), stderr: "", exitCode: 0 });
    });

    test("says so and fails when it cannot write", () => {
      const { stderr, exitCode } = runInto("/dev/full", "w", command);
      expect({ stderr, exitCode }).toEqual({ stderr: "hello: cannot write the greeting\n", exitCode: 1 });
    });
  });
}

describe("on this machine", () => {
  test.skipIf(!isRoot)("tells another user and its own namespaces", () => {
    const unshare = ["unshare", "--uts", "--ipc", "--", "setpriv", "--reuid=1234", "--bounding-set=-chown", "--"];
    const { stdout, stderr, exitCode } = run([...unshare, programs[hostArchitecture]]);
    const own = helloNamespaces(stdout ?? "");
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    expect(stdout).toContain(`  user                  ${helloUser.other}\n`);
    expect(own["mnt"]).toBe(readlinkSync("/proc/self/ns/mnt"));
    expect(own["uts"]).not.toBe(readlinkSync("/proc/self/ns/uts"));
    const [held = 0] = capabilities().split(" of").map(Number);
    expect(stdout).toContain(`  capabilities          ${String(held - 1).padStart(2)} of the `);
  });

  test.skipIf(Bun.which("strace") === null)("writes once, so that its lines stay together", () => {
    const { stderr } = run(["strace", "-e", "trace=write", programs[hostArchitecture]]);
    expect(stderr.split("\n").filter((line) => line.startsWith("write(1, "))).toHaveLength(1);
  });

  test("appends to a file", () => {
    const path = join(directory.path, "log");
    for (const _ of [1, 2]) runInto(path, "a", [programs[hostArchitecture]]);
    expect(readFileSync(path, "utf8").match(/Hello from gocker!/g)).toHaveLength(2);
  });
});

test("is an executable that needs no loader", () => {
  for (const architecture of ["x86_64", "aarch64"] as const) {
    const file = Buffer.from(helloExecutable(architecture));
    const types = Array.from({ length: file.readUInt16LE(56) }, (_, index) => file.readUInt32LE(64 + index * 56));
    // PT_LOAD twice and PT_GNU_STACK; neither PT_INTERP nor PT_DYNAMIC. elf(5)
    expect(types).toEqual([1, 1, 0x6474e551]);
  }
});
