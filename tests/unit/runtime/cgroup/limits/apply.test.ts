import { describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Cgroup } from "../../../../../src/runtime/cgroup/cgroup.ts";
import { CgroupError } from "../../../../../src/runtime/cgroup/errors.ts";
import { openCgroup } from "../../../../../src/runtime/cgroup/open.ts";

/*
 * Against plain files, which take any value: what is written where, and what is put back. A write into a plain file
 * replaces only as much as it is long, so that values here are as long as those before them.
 */

class FakeCgroup implements Disposable {
  readonly mountPoint = mkdtempSync(join(tmpdir(), "gocker-limits-"));
  readonly cgroup: Cgroup = openCgroup("/c", { v1: [], v2: this.mountPoint });

  constructor(files: Record<string, string>) {
    mkdirSync(`${this.mountPoint}/c`);
    const controllers = new Set(Object.keys(files).map((file) => file.slice(0, file.indexOf("."))));
    for (const place of ["", "/c"]) {
      writeFileSync(`${this.mountPoint}${place}/cgroup.controllers`, [...controllers].join(" "));
    }
    for (const [file, text] of Object.entries(files)) writeFileSync(`${this.mountPoint}/c/${file}`, text);
  }

  valueOf(file: string): string {
    return readFileSync(`${this.mountPoint}/c/${file}`, "utf8");
  }

  [Symbol.dispose](): void {
    this.cgroup[Symbol.dispose]();
    rmSync(this.mountPoint, { recursive: true });
  }
}

test("a period alone leaves the quota that there is", async () => {
  using fake = new FakeCgroup({ "cpu.max": "20000 100000" });
  await fake.cgroup.updateResources({ cpu: { period: 500000 } });
  expect(fake.valueOf("cpu.max")).toBe("20000 500000");
});

test("memory and swap together are more than the memory that there is", async () => {
  using fake = new FakeCgroup({ "memory.max": "1000", "memory.swap.max": "500" });
  await fake.cgroup.updateResources({ memory: { swap: 1200 } });
  expect(fake.valueOf("memory.swap.max")).toBe("200");
  await expect(fake.cgroup.updateResources({ memory: { swap: 900 } })).rejects.toThrow("which it includes");
});

test("a kernel without swap needs no limit of it", async () => {
  using fake = new FakeCgroup({ "memory.max": "1000" });
  await fake.cgroup.applyResources({ memory: { limit: 2000, swap: 2000 } });
  expect(fake.valueOf("memory.max")).toBe("2000");
  const failure = fake.cgroup.applyResources({ memory: { limit: 2000, swap: 2001 } });
  await expect(failure).rejects.toMatchObject({
    message: expect.stringContaining("linux.resources.memory.swap cannot be set in the memory controller"),
    hint: "this kernel has no memory.swap.max",
  });
});

describe("checkBeforeUpdate", () => {
  const files = { "memory.max": "9999", "memory.swap.max": "9999", "memory.current": "5000\n" };

  test.each<[Record<string, number>, string]>([
    [{ limit: 5000 }, "rejecting memory limit 5000 <= usage 5000"],
    [{ limit: 1024, swap: 9999 }, "rejecting memory limit 1024 <= usage 5000"],
    [{ limit: 1024, swap: 4000 }, "rejecting memory+swap limit 4000 <= usage 5000"],
  ])("%j", async (memory, message) => {
    using fake = new FakeCgroup(files);
    const failure = fake.cgroup.updateResources({ memory: { ...memory, checkBeforeUpdate: true } });
    await expect(failure).rejects.toThrow(message);
    expect(fake.valueOf("memory.max")).toBe("9999");
  });

  test("more than is used, and without", async () => {
    using fake = new FakeCgroup(files);
    await fake.cgroup.updateResources({ memory: { limit: 5001, checkBeforeUpdate: true } });
    expect(fake.valueOf("memory.max")).toBe("5001");
    await fake.cgroup.updateResources({ memory: { limit: 1024 } });
    expect(fake.valueOf("memory.max")).toBe("1024");
  });
});

test("the weights of the scheduler that there is", async () => {
  using bfq = new FakeCgroup({ "io.bfq.weight": "100" });
  await bfq.cgroup.applyResources({ blockIO: { weight: 750 } });
  expect(bfq.valueOf("io.bfq.weight")).toBe("750");
  using cost = new FakeCgroup({ "io.weight": "0100" });
  await cost.cgroup.applyResources({ blockIO: { weight: 750 } });
  expect(cost.valueOf("io.weight")).toBe("7475");
});

test("what was changed before a failure is put back, and each device's line alone", async () => {
  using fake = new FakeCgroup({
    "pids.max": "50\n",
    "cpu.weight": "123\n",
    "io.max": "8:0 rbps=7 wbps=max riops=max wiops=max\n8:16 rbps=8 wbps=max riops=max wiops=max\n",
  });
  const blockIO = { throttleReadBpsDevice: [{ major: 8, minor: 16, rate: 5 }] };
  const failure = fake.cgroup.updateResources({
    pids: { limit: 60 },
    cpu: { shares: 262144 },
    blockIO,
    unified: { "cpu.missing": "1" },
  });
  await expect(failure).rejects.toThrow(CgroupError);
  await expect(failure).rejects.toThrow(/linux\.resources\.unified\["cpu\.missing"\].*no such file or directory/);
  expect(fake.valueOf("pids.max")).toStartWith("50");
  expect(fake.valueOf("cpu.weight")).toStartWith("123");
  expect(fake.valueOf("io.max")).toStartWith("8:16 rbps=8 wbps=max riops=max wiops=max");
});

test("keys of unified that are none, and controllers that are not there", async () => {
  using fake = new FakeCgroup({ "pids.max": "50" });
  const apply = (unified: Record<string, string>) => fake.cgroup.applyResources({ unified });
  await expect(apply({ "NOT-A-VALID-KEY": "x" })).rejects.toThrow(
    "the specified key has not the form CONTROLLER.VALUE `NOT-A-VALID-KEY`",
  );
  await expect(apply({ "foo.bar": "x" })).rejects.toThrow(
    'linux.resources.unified["foo.bar"] needs the foo controller, which this host does not offer',
  );
});

test("nothing is looked at where there are only rules for devices", async () => {
  const cgroup = openCgroup("/c", { v1: [], v2: "/nonexistent" });
  using _cgroup = cgroup;
  expect(await cgroup.applyResources({ devices: [{ allow: false }] })).toEqual([]);
  expect(await cgroup.applyResources({})).toEqual([]);
});

test("a controller that is mounted nowhere is named with what needs it", async () => {
  const v1 = [{ controllers: ["cpu"], directory: "cpu", mountPoint: "/nonexistent" }];
  const cgroup = openCgroup("/c", { v1, v2: undefined });
  using _cgroup = cgroup;
  await expect(cgroup.applyResources({ pids: { limit: 5 } })).rejects.toThrow(
    "linux.resources.pids.limit needs the pids controller, which is not mounted on this host",
  );
  await expect(cgroup.applyResources({ unified: { "cpu.max": "1" } })).rejects.toThrow("invalid configuration");
  // Docker writes it wherever it is not asked for anything.
  expect(await cgroup.applyResources({ memory: { disableOOMKiller: false } })).toEqual([]);
});
