import { describe, expect, test } from "bun:test";
import { showCall } from "../../../../src/cli/explain/arguments.ts";
import type { Process } from "../../../../src/oci/runtime-spec.ts";
import { PlanBuilder } from "../../../../src/runtime/plan/builder.ts";
import { addPersonality } from "../../../../src/runtime/plan/personality.ts";
import {
  addFinalAffinity,
  addInitialAffinity,
  addIoPriority,
  addScheduler,
  cpuMask,
} from "../../../../src/runtime/plan/scheduler.ts";
import { runPlan, shellSteps } from "../../../helpers/launched-plan.ts";

type Scheduler = NonNullable<Process["scheduler"]>;
type Adding = (builder: PlanBuilder) => void;

function stepsOf(add: Adding) {
  const builder = new PlanBuilder();
  add(builder);
  return builder.steps;
}

/** What a shell says that the steps come before. */
async function told(script: string, add: Adding): Promise<string> {
  const { stdout, outcome } = await runPlan({ steps: [...stepsOf(add), ...shellSteps(script)] });
  expect(outcome).toEqual({ reported: [] });
  return stdout;
}

/** `struct sched_attr` by its fields. */
function attributesOf(scheduler: Scheduler) {
  const [step] = stepsOf((builder) => addScheduler(builder, scheduler));
  expect(step?.syscall).toBe("sched_setattr");
  const [pid, bytes, flags] = step?.args ?? [];
  expect([pid, flags]).toEqual([0, 0]);
  const view = new DataView((bytes as Uint8Array).slice().buffer);
  const times = [24, 32, 40].map((offset) => Number(view.getBigUint64(offset, true)));
  return {
    length: view.byteLength,
    size: view.getUint32(0, true),
    policy: view.getUint32(4, true),
    flags: Number(view.getBigUint64(8, true)),
    nice: view.getInt32(16, true),
    priority: view.getUint32(20, true),
    times,
  };
}

describe("process.scheduler", () => {
  test("becomes the kernel's structure", () => {
    expect(attributesOf({ policy: "SCHED_BATCH", nice: -5 })).toEqual({
      length: 48,
      size: 48,
      policy: 3,
      flags: 0,
      nice: -5,
      priority: 0,
      times: [0, 0, 0],
    });
    expect(attributesOf({ policy: "SCHED_RR", priority: 99, flags: ["SCHED_FLAG_RESET_ON_FORK"] })).toMatchObject({
      policy: 2,
      priority: 99,
      flags: 1,
    });
    const deadline = { policy: "SCHED_DEADLINE", runtime: 10_000_000, deadline: 20_000_000, period: 30_000_000_000 };
    expect(attributesOf(deadline)).toMatchObject({ policy: 6, times: [10_000_000, 20_000_000, 30_000_000_000] });
    const clamped = { policy: "SCHED_OTHER", flags: ["SCHED_FLAG_KEEP_POLICY", "SCHED_FLAG_UTIL_CLAMP_MIN"] };
    expect(attributesOf(clamped)).toMatchObject({ length: 56, size: 56, policy: 0, flags: 0x28 });
    expect(stepsOf((builder) => addScheduler(builder, undefined))).toEqual([]);
  });

  test("tells what the admission test of SCHED_DEADLINE is about, and of no other policy", () => {
    const hints = (scheduler: Scheduler) => stepsOf((builder) => addScheduler(builder, scheduler))[0]?.hints;
    const deadline = hints({ policy: "SCHED_DEADLINE", runtime: 1_000_000, deadline: 2_000_000 });
    expect(deadline?.EPERM).toContain("linux.resources.cpu.cpus");
    expect(hints({ policy: "SCHED_FIFO", priority: 1 })).toBeUndefined();
  });

  test.each<[Scheduler, string]>([
    [{ policy: "SCHED_ISO" }, "policy: SCHED_ISO: Linux has no such policy yet"],
    [{ policy: "constructor" }, "policy: constructor: no policy"],
    [{ policy: "" }, "policy: : no policy of the scheduler"],
    [{ policy: "SCHED_OTHER", nice: 20 }, "nice: 20 is not from -20 to 19"],
    [{ policy: "SCHED_OTHER", nice: "5" }, 'nice: "5" is not from'],
    [{ policy: "SCHED_BATCH", priority: 1 }, "priority: only SCHED_FIFO and SCHED_RR have one, not SCHED_BATCH"],
    [{ policy: "SCHED_FIFO" }, "priority: SCHED_FIFO needs one from 1 to 99"],
    [{ policy: "SCHED_FIFO", priority: 100 }, "priority: 100 is not from 0 to 99"],
    [{ policy: "SCHED_IDLE", deadline: 5 }, "deadline: only SCHED_DEADLINE has one"],
    [{ policy: "SCHED_OTHER", flags: ["SCHED_FLAG_FAST"] }, "flags[0]: unknown flag SCHED_FLAG_FAST"],
    [{ policy: "SCHED_OTHER", flags: "x" }, "flags: no list"],
  ])("%j is refused", (scheduler, message) => {
    expect(() => attributesOf(scheduler)).toThrow(`process.scheduler.${message}`);
  });

  test.each<[Partial<Scheduler>, string]>([
    [{}, "requires `runtime`"],
    [{ runtime: 5000 }, "requires `deadline`"],
    [{ runtime: 0, deadline: 5000 }, "runtime must be greater than 0"],
    [{ runtime: 1023, deadline: 5000 }, "runtime (1023) must be between 1024 and 9007199254740991"],
    [{ runtime: 5000, deadline: 2 ** 63 }, "deadline (9223372036854776000) must be between 1024 and"],
    [{ runtime: 5000, deadline: "5000" }, 'deadline ("5000") must be between 1024 and'],
    [{ runtime: 5000, deadline: 4000 }, "runtime (5000) must be <= deadline (4000)"],
    [{ runtime: 5000, deadline: 6000, period: 5500 }, "deadline (6000) must be <= period (5500)"],
  ])("a deadline of %j is none", (times, message) => {
    const prefix = "process.scheduler: sched_setattr: `SCHED_DEADLINE` ";
    expect(() => attributesOf({ policy: "SCHED_DEADLINE", ...times })).toThrow(`${prefix}${message}`);
  });

  test("the kernel does as it says", async () => {
    // proc_pid_stat(5): nice is field 19, policy field 41.
    const script = "cut -d' ' -f19,41 /proc/$$/stat";
    expect(await told(script, (builder) => addScheduler(builder, { policy: "SCHED_BATCH", nice: 7 }))).toBe("7 3\n");
    expect(await told(script, (builder) => addScheduler(builder, { policy: "SCHED_IDLE" }))).toMatch(/ 5\n$/);
  });
});

describe("process.ioPriority", () => {
  const calls = (value: Process["ioPriority"]) => stepsOf((builder) => addIoPriority(builder, value)).map(showCall);

  test("is a class and a priority in one number", () => {
    expect(calls({ class: "IOPRIO_CLASS_RT", priority: 0 })).toEqual([`ioprio_set(1, 0, ${1 << 13})`]);
    expect(calls({ class: "IOPRIO_CLASS_BE", priority: 7 })).toEqual([`ioprio_set(1, 0, ${(2 << 13) | 7})`]);
    expect(calls({ class: "IOPRIO_CLASS_IDLE", priority: 4 })).toEqual([`ioprio_set(1, 0, ${(3 << 13) | 4})`]);
    expect(calls(undefined)).toEqual([]);
  });

  test("is refused when the kernel has no such one", () => {
    expect(() => calls({ class: "IOPRIO_CLASS_BEST", priority: 0 })).toThrow(
      "process.ioPriority.class: unknown class IOPRIO_CLASS_BEST",
    );
    for (const priority of [-1, 8, 1.5]) {
      expect(() => calls({ class: "IOPRIO_CLASS_BE", priority })).toThrow(
        `process.ioPriority.priority: ${priority} is not from 0 to 7`,
      );
    }
  });

  test("the kernel does as it says", async () => {
    const priority = { class: "IOPRIO_CLASS_BE", priority: 6 };
    expect(await told("ionice", (builder) => addIoPriority(builder, priority))).toBe("best-effort: prio 6\n");
  });
});

describe("process.execCPUAffinity", () => {
  const cpusOf = (list: string) => {
    const mask = cpuMask(list, "list");
    const cpus: number[] = [];
    for (let cpu = 0; cpu < mask.length * 8; cpu++) if (((mask[cpu >> 3] as number) >> (cpu & 7)) & 1) cpus.push(cpu);
    return { cpus, length: mask.length };
  };

  test("a list becomes a mask of whole words", () => {
    expect(cpusOf("0-3,7")).toEqual({ cpus: [0, 1, 2, 3, 7], length: 8 });
    expect(cpusOf("63")).toEqual({ cpus: [63], length: 8 });
    expect(cpusOf(" 5 ,, 64,1-1")).toEqual({ cpus: [1, 5, 64], length: 16 });
    expect(cpusOf("8191")).toEqual({ cpus: [8191], length: 1024 });
  });

  test.each([
    ["3-1", "3-1 is no CPU or range of CPUs"],
    ["-1", "-1 is no CPU"],
    ["a", "a is no CPU"],
    ["1-2-3", "1-2-3 is no CPU"],
    ["0x1", "0x1 is no CPU"],
    [",", "names no CPU"],
    ["0-8192", "there is no CPU 8192"],
    ["99999999999", "there is no CPU 99999999999"],
  ])("the list %j is refused", (list, message) => {
    const add = () => stepsOf((builder) => addFinalAffinity(builder, { final: list }));
    expect(add).toThrow(`process.execCPUAffinity.final: ${message}`);
  });

  test("each of the two has its step, when it is given", async () => {
    const list = /^Cpus_allowed_list:\s*(\d+)/m.exec(await Bun.file("/proc/self/status").text())?.[1] ?? "0";
    const script = "sed -n 's/^Cpus_allowed_list:\\t//p' /proc/self/status";
    expect(await told(script, (builder) => addInitialAffinity(builder, { initial: list }))).toBe(`${list}\n`);
    expect(await told(script, (builder) => addFinalAffinity(builder, { final: list }))).toBe(`${list}\n`);
    const nothing = stepsOf((builder) => {
      addInitialAffinity(builder, { initial: "", final: "0" });
      addFinalAffinity(builder, { initial: "0" });
    });
    expect(nothing).toEqual([]);
    const all = stepsOf((builder) => addFinalAffinity(builder, undefined));
    expect(all).toMatchObject([{ syscall: "sched_setaffinity", args: [0, 1024, new Uint8Array(1024).fill(255)] }]);
  });
});

describe("linux.personality", () => {
  const steps = (domain: string, flags?: string[]) =>
    stepsOf((builder) => addPersonality(builder, { domain, ...(flags !== undefined && { flags }) }));

  test("is one of two, and has no flags", () => {
    expect(steps("LINUX").map(showCall)).toEqual(["personality(0)"]);
    expect(steps("LINUX32", []).map(showCall)).toEqual(["personality(8)"]);
    expect(stepsOf((builder) => addPersonality(builder, undefined))).toEqual([]);
    expect(() => steps("BSD")).toThrow("linux.personality.domain: unknown domain BSD");
    expect(() => steps("LINUX", ["SHORT_INODE"])).toThrow("linux.personality.flags[0]: unknown flag SHORT_INODE");
  });

  test("the kernel does as it says", async () => {
    const script = "cat /proc/$$/personality";
    expect(await told(script, (builder) => addPersonality(builder, { domain: "LINUX32" }))).toBe("00000008\n");
  });
});
