import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { delegateDefaults, requireController } from "../../../../src/runtime/cgroup/delegation.ts";

/** Plain files in the places of the kernel's: what would be handed down is what they hold afterwards. */
class FakeHierarchy implements Disposable {
  readonly mountPoint = mkdtempSync(join(tmpdir(), "gocker-cgroup-"));

  add(path: string, controllers: string, enabled = ""): void {
    mkdirSync(this.mountPoint + path, { recursive: true });
    writeFileSync(`${this.mountPoint}${path}/cgroup.controllers`, `${controllers}\n`);
    writeFileSync(`${this.mountPoint}${path}/cgroup.subtree_control`, enabled);
  }

  enabled(path: string): string {
    return readFileSync(`${this.mountPoint}${path}/cgroup.subtree_control`, "utf8");
  }

  [Symbol.dispose](): void {
    rmSync(this.mountPoint, { recursive: true });
  }
}

test("what the host offers is handed down the whole path, but not to the container's own children", () => {
  using host = new FakeHierarchy();
  host.add("", "cpuset cpu io memory hugetlb pids");
  host.add("/gocker", "");
  host.add("/gocker/1", "");
  delegateDefaults(host.mountPoint, "/gocker/1");
  expect(host.enabled("")).toBe("+cpuset +cpu +io +memory +hugetlb +pids");
  expect(host.enabled("/gocker")).toBe("+cpuset +cpu +io +memory +hugetlb +pids");
  expect(host.enabled("/gocker/1")).toBe("");
});

test("nothing is written where an earlier container has been, or nothing is on offer", () => {
  using host = new FakeHierarchy();
  host.add("", "cpuset cpu io memory pids", "memory");
  host.add("/gocker", "");
  host.add("/gocker/1", "cpuset cpu io memory pids");
  delegateDefaults(host.mountPoint, "/gocker/1");
  expect(host.enabled("")).toBe("memory");

  using bare = new FakeHierarchy();
  bare.add("", "");
  bare.add("/gocker", "");
  bare.add("/gocker/1", "");
  delegateDefaults(bare.mountPoint, "/gocker/1");
  expect(bare.enabled("")).toBe("");
});

test("a controller that a limit needs and the host lacks is named", () => {
  using host = new FakeHierarchy();
  host.add("", "cpu");
  host.add("/1", "cpu");
  requireController(host.mountPoint, "/1", "cpu", "linux.resources.cpu.shares");
  expect(() => requireController(host.mountPoint, "/1", "memory", "linux.resources.memory.limit")).toThrow(
    "linux.resources.memory.limit needs the memory controller",
  );
});
