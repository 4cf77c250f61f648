import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { closeSync, openSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Architecture, hostArchitecture } from "../../../../src/linux/arch.ts";
import { AT_FDCWD, O_PATH, RESOLVE_IN_ROOT } from "../../../../src/linux/constants.ts";
import { errnos } from "../../../../src/linux/errno.ts";
import { encodePlan } from "../../../../src/linux/launch/encode.ts";
import { slot, type Step, words } from "../../../../src/linux/launch/plan.ts";
import { stubDataAddress, stubExecutable } from "../../../../src/linux/launch/stub.ts";
import { TemporaryDirectory } from "../../../helpers/temporary.ts";

/*
 * Every feature of the interpreter, run as a stub of its own: by this machine, and by an emulator for the other
 * architecture where one is installed. The stub reports to descriptor 3 and writes what it finds to descriptor 1.
 */

const statusFd = 3;
const emulators: Record<Architecture, string> = { x86_64: "qemu-x86_64-static", aarch64: "qemu-aarch64-static" };
const SIGCHLD = 17;
const SIG_SETMASK = 2;

let directory: TemporaryDirectory;
let count = 0;
beforeAll(() => {
  directory = new TemporaryDirectory("interpreter");
});
afterAll(() => directory[Symbol.dispose]());

function step(syscall: Step["syscall"], args: Step["args"], rest: Partial<Step> = {}): Step {
  return { label: syscall, group: "process", syscall, args, ...rest };
}

/** A step that shows that it was reached. */
function say(text: string): Step {
  return step("write", [1, text, text.length]);
}

const exit = (code: number) => step("exit_group", [code]);
/** Fails with EBADF. */
const failing = (rest: Partial<Step> = {}) => step("close", [-1], { label: "close nothing", ...rest });

interface Outcome {
  readonly stdout: string;
  readonly exitCode: number;
  readonly signal: number | string | null;
  /** The labels of the steps that were reported, with what their system call returned. */
  readonly reports: readonly (readonly [label: string | undefined, result: bigint])[];
}

interface Running {
  readonly pid: number;
  /** Resolves when the stub has written as much. */
  readonly wrote: (text: string) => Promise<void>;
  readonly ended: () => Promise<Outcome>;
}

function start(architecture: Architecture, steps: readonly Step[]): Running {
  const path = join(directory.path, `stub-${count++}`);
  const plan = encodePlan(steps, { architecture, base: stubDataAddress, statusFd });
  const file = Buffer.alloc(0x1_0000 + plan.bytes.length);
  for (const { offset, bytes } of stubExecutable(architecture, plan.bytes)) file.set(bytes, offset);
  writeFileSync(path, file, { mode: 0o755 });
  const status = openSync(`${path}.status`, "w");
  const child = Bun.spawn(architecture === hostArchitecture ? [path] : [emulators[architecture], path], {
    stdio: ["ignore", "pipe", "inherit", status],
    timeout: 10_000,
  });
  closeSync(status);
  let stdout = "";
  const reader = child.stdout.getReader();
  const readMore = async () => {
    const { done, value } = await reader.read();
    if (!done) stdout += Buffer.from(value).toString();
    return !done;
  };
  return {
    pid: child.pid,
    async wrote(text) {
      while (!stdout.includes(text)) if (!(await readMore())) throw new Error(`the stub ended after ${stdout}`);
    },
    async ended() {
      while (await readMore());
      await child.exited;
      const records = readFileSync(`${path}.status`);
      const reports = Array.from({ length: records.length / 16 }, (_, index) => {
        const address = records.readBigUInt64LE(index * 16);
        return [plan.stepAt(address)?.label, records.readBigInt64LE(index * 16 + 8)] as const;
      });
      return { stdout, exitCode: child.exitCode ?? -1, signal: child.signalCode, reports };
    },
  };
}

describe.each(["x86_64", "aarch64"] as const)("the interpreter for %s", (architecture) => {
  const canRun = architecture === hostArchitecture || Bun.which(emulators[architecture]) !== null;
  if (!canRun) console.warn(`skipped: ${emulators[architecture]} is not installed`);
  const run = (...steps: Step[]): Promise<Outcome> => start(architecture, steps).ended();

  describe.skipIf(!canRun)("going through a plan", () => {
    test("runs the steps in order and ends with 0 after the last", async () => {
      expect(await run(say("one "), say("two"))).toEqual({ stdout: "one two", exitCode: 0, signal: null, reports: [] });
    });

    test("an empty plan ends at once", async () => {
      expect(await run()).toMatchObject({ stdout: "", exitCode: 0, reports: [] });
    });

    // The emulator knows no openat2.
    test.skipIf(architecture !== hostArchitecture)("asks openat2 again when others rename meanwhile", async () => {
      const [one, other] = [join(directory.path, "one"), join(directory.path, "other")];
      const script =
        `const { renameSync, writeFileSync } = require("node:fs"); writeFileSync(${JSON.stringify(one)}, "");` +
        `for (let count = 0; ; count++) { renameSync(${JSON.stringify(one)}, ${JSON.stringify(other)});` +
        `renameSync(${JSON.stringify(other)}, ${JSON.stringify(one)}); if (count === 1000) console.log("at it"); }`;
      const renames = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
      try {
        await renames.stdout.getReader().read();
        // RESOLVE_IN_ROOT: the kernel makes sure that `..` does not lead out, and gives up when it cannot.
        const how = new Uint8Array(new BigUint64Array([BigInt(O_PATH), 0n, BigInt(RESOLVE_IN_ROOT)]).buffer);
        const root = slot("root");
        const attempts = Array.from({ length: 400 }, (_, index) => {
          const result = slot(`attempt ${index}`);
          return [step("openat2", [root, "proc/../proc/..", how, 24], { result }), step("close", [result])];
        });
        const opening = step("openat", [AT_FDCWD, "/", O_PATH], { result: root });
        const outcome = await run(opening, ...attempts.flat(), say("done"));
        expect(outcome).toMatchObject({ stdout: "done", exitCode: 0, reports: [] });
      } finally {
        renames.kill("SIGKILL");
        await renames.exited;
      }
    });

    test("all six arguments can be slots", async () => {
      const number = (value: number, name: string) => {
        const result = slot(name);
        return { result, step: step("lseek", [file, value, 0], { result }) };
      };
      const file = slot("file");
      const [size, protection, shared, offset] = [
        number(4096, "size"),
        number(1, "protection"),
        number(1, "shared"),
        number(0x1_0000, "offset"),
      ];
      const [zero, mapped] = [number(0, "zero"), slot("mapped")];
      const { stdout, exitCode } = await run(
        step("memfd_create", ["memory", 0], { result: file }),
        step("pwrite64", [file, "at the offset", 13, 0x1_0000]),
        step("ftruncate", [file, 0x2_0000]),
        ...[size, protection, shared, offset, zero].map((each) => each.step),
        step("mmap", [zero.result, size.result, protection.result, shared.result, file, offset.result], {
          result: mapped,
        }),
        step("write", [1, mapped, 13]),
      );
      expect({ stdout, exitCode }).toEqual({ stdout: "at the offset", exitCode: 0 });
    });

    test("executes a program with arguments and environment", async () => {
      const shell = words("sh", "-c", 'echo "$1 $NAME"', "sh", "argument", 0);
      const steps = [step("execve", ["/bin/sh", shell, words("NAME=value", 0)])];
      expect(await run(...steps)).toMatchObject({ stdout: "argument value\n", exitCode: 0 });
    });
  });

  describe.skipIf(!canRun)("errors", () => {
    test("an error that nobody tolerates ends the plan with 127 and is reported", async () => {
      expect(await run(say("before"), failing(), say("after"))).toEqual({
        stdout: "before",
        exitCode: 127,
        signal: null,
        reports: [["close nothing", BigInt(-errnos.EBADF)]],
      });
    });

    test.each([0, 1, 2])("the tolerated error in place %d of the list is passed over", async (place) => {
      const others = ["ENOENT", "EPERM", "EIO"] as const;
      const tolerate = others.map((name, index) => (index === place ? "EBADF" : name));
      expect(await run(failing({ onError: { tolerate } }), say("on"))).toMatchObject({ stdout: "on", reports: [] });
    });

    test("another error than the tolerated ones is fatal", async () => {
      const outcome = await run(failing({ onError: { tolerate: ["ENOENT", "EPERM"] } }), say("on"));
      expect(outcome).toMatchObject({ stdout: "", exitCode: 127, reports: [["close nothing", BigInt(-errnos.EBADF)]] });
    });

    test("any error can be tolerated, and reported all the same, in order", async () => {
      const missing = step("chdir", ["/does/not/exist"], { onError: { tolerate: ["ENOENT"], report: true } });
      expect(await run(failing({ onError: { tolerate: "any", report: true } }), missing, say("on"))).toEqual({
        stdout: "on",
        exitCode: 0,
        signal: null,
        reports: [
          ["close nothing", BigInt(-errnos.EBADF)],
          ["chdir", BigInt(-errnos.ENOENT)],
        ],
      });
    });

    test("a failed step leaves its slot as it was", async () => {
      const result = slot("descriptor");
      const steps = [
        step("dup", [1], { result }),
        step("dup", [-1], { result, onError: { tolerate: ["EBADF"] } }),
        step("write", [result, "kept", 4]),
      ];
      expect(await run(...steps)).toMatchObject({ stdout: "kept", exitCode: 0 });
    });

    test("large results are no errors", async () => {
      const result = slot("address");
      const steps = [
        step("mmap", [0, 4096, 3, 0x22, -1, 0], { result }),
        step("write", [1, result, 1]),
        step("prctl", [1, 0, 0, 0, 0]),
      ];
      expect(await run(...steps)).toMatchObject({ stdout: "\0", exitCode: 0, reports: [] });
    });
  });

  describe.skipIf(!canRun)("skips", () => {
    test("on a tolerated error", async () => {
      const skipping = { onError: { tolerate: ["EBADF"], skip: 2 } } as const;
      expect(await run(failing(skipping), say("1"), say("2"), say("3"))).toMatchObject({ stdout: "3" });
      const succeeding = step("getpid", [], { onError: { tolerate: ["EBADF"], skip: 2 } });
      expect(await run(succeeding, say("1"), say("2"), say("3"))).toMatchObject({ stdout: "123" });
    });

    test("on some errors, where all are tolerated", async () => {
      for (const place of [0, 1, 2]) {
        const skipOn = (["EIO", "EPERM", "ENOENT"] as const).map((name, index) => (index === place ? "EBADF" : name));
        const skipping = failing({ onError: { tolerate: "any", skip: 2, skipOn } });
        expect(await run(skipping, say("1"), say("2"), say("3"))).toMatchObject({ stdout: "3", exitCode: 0 });
      }
      const others = failing({ onError: { tolerate: "any", skip: 2, skipOn: ["EIO"] } });
      expect(await run(others, say("1"), say("2"), say("3"))).toMatchObject({ stdout: "123", reports: [] });
    });

    test("on success, but not on a tolerated error", async () => {
      const skipping = { onError: { tolerate: ["EBADF"] }, onSuccess: { skip: 2 } } as const;
      expect(await run(step("umask", [0], skipping), say("1"), say("2"), say("3"))).toMatchObject({ stdout: "3" });
      expect(await run(failing(skipping), say("1"), say("2"), say("3"))).toMatchObject({ stdout: "123" });
    });

    test("to the very end of the plan", async () => {
      expect(await run(step("umask", [0], { onSuccess: { skip: 1 } }), say("1"))).toMatchObject({
        stdout: "",
        exitCode: 0,
      });
    });
  });

  describe.skipIf(!canRun)("children", () => {
    const makeChild = (parent: "leaves" | "tells" | "reaps") =>
      step("clone", [SIGCHLD, 0, 0, 0, 0], { onSuccess: { parent }, label: "make a child" });
    const everySignal = new Uint8Array(8).fill(0xff);
    const setMask = (set: Uint8Array) => step("rt_sigprocmask", [SIG_SETMASK, set, 0, 8]);
    const forEver = step("ppoll", [0, 0, 0, 0, 0]);
    const reaping = [setMask(everySignal), makeChild("reaps")];

    test("a parent that leaves ends with 0, and the child goes on", async () => {
      expect(await run(makeChild("leaves"), say("child"), exit(9))).toMatchObject({ stdout: "child", exitCode: 0 });
    });

    test("a parent that tells reports the child's number before it leaves", async () => {
      const { stdout, exitCode, reports } = await run(makeChild("tells"), say("child"), exit(9));
      expect({ stdout, exitCode }).toEqual({ stdout: "child", exitCode: 0 });
      expect(reports).toEqual([["make a child", expect.any(BigInt)]]);
      expect(reports[0]?.[1]).toBeGreaterThan(1n);
    });

    test("a parent that stays tells the child's number and does the steps that the child leaves out", async () => {
      const stays = step("clone", [SIGCHLD, 0, 0, 0, 0], { onSuccess: { parent: "stays", skip: 3 }, label: "stay" });
      const wait = step("wait4", [-1, 0, 0, 0]);
      const { stdout, exitCode, reports } = await run(stays, wait, say("parent"), exit(7), say("child "), exit(9));
      expect({ stdout, exitCode }).toEqual({ stdout: "child parent", exitCode: 7 });
      expect(reports).toEqual([["stay", expect.any(BigInt)]]);
      expect(reports[0]?.[1]).toBeGreaterThan(1n);
    });

    test("a reaper ends as its child does", async () => {
      expect(await run(...reaping, say("child"), exit(0))).toMatchObject({ stdout: "child", exitCode: 0 });
      expect(await run(...reaping, exit(42))).toMatchObject({ exitCode: 42, signal: null });
      expect(await run(...reaping, exit(255))).toMatchObject({ exitCode: 255 });
    });

    test("a reaper ends with 128 and the signal that killed its child", async () => {
      const kill = (signal: number) => {
        const self = slot("pid");
        return [step("getpid", [], { result: self }), step("kill", [self, signal])];
      };
      expect(await run(...reaping, ...kill(9), forEver)).toMatchObject({ exitCode: 137, signal: null });
      expect(await run(...reaping, setMask(new Uint8Array(8)), ...kill(15), forEver)).toMatchObject({ exitCode: 143 });
    });

    test("a child of a reaper that fails reports what, and the reaper ends with 127", async () => {
      expect(await run(...reaping, failing(), say("after"))).toMatchObject({
        stdout: "",
        exitCode: 127,
        reports: [["close nothing", BigInt(-errnos.EBADF)]],
      });
    });

    test("a reaper closes everything above its standard descriptors", async () => {
      const { pid, wrote, ended } = start(architecture, [
        ...reaping,
        say("there"),
        setMask(new Uint8Array(8)),
        forEver,
      ]);
      await wrote("there");
      if (architecture === hostArchitecture) {
        // The child may have been faster.
        while (readdirSync(`/proc/${pid}/fd`).length > 3) await Bun.sleep(1);
        expect(readdirSync(`/proc/${pid}/fd`).toSorted()).toEqual(["0", "1", "2"]);
      }
      process.kill(pid, "SIGTERM");
      expect(await ended()).toMatchObject({ exitCode: 143 });
    });

    test.each(["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1"] as const)("a reaper passes %s on", async (signal) => {
      const shell = words(
        "sh",
        "-c",
        `trap 'echo got; exit 5' ${signal.slice(3)}; echo ready; while :; do sleep 0.01; done`,
        0,
      );
      const { pid, wrote, ended } = start(architecture, [
        ...reaping,
        setMask(new Uint8Array(8)),
        step("execve", ["/bin/sh", shell, words("PATH=/usr/bin:/bin", 0)]),
      ]);
      await wrote("ready\n");
      process.kill(pid, signal);
      expect(await ended()).toMatchObject({ stdout: "ready\ngot\n", exitCode: 5, signal: null });
    });

    test("a reaper takes no orphan's end for its child's", async () => {
      // As process 1 does, PR_SET_CHILD_SUBREAPER makes any process adopt orphans; the emulator does not know it.
      const orphans = "for i in 1 2 3; do (sh -c 'exit 3' & exit 0); done; sleep 0.1; exit 6";
      const outcome = await run(
        step("prctl", [36, 1, 0, 0, 0], { onError: { tolerate: ["EINVAL"] } }),
        ...reaping,
        setMask(new Uint8Array(8)),
        step("execve", ["/bin/sh", words("sh", "-c", orphans, 0), words("PATH=/usr/bin:/bin", 0)]),
      );
      expect(outcome).toMatchObject({ exitCode: 6, signal: null });
    });
  });
});
