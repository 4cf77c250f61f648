import { readFileSync } from "node:fs";
import type { Step } from "../../linux/launch/plan.ts";
import type { Cgroup, CgroupView, HierarchyView } from "./cgroup.ts";
import { type CgroupHost, type CgroupMembership, detectCgroups, parseProcCgroup } from "./detect.ts";
import { CgroupError } from "./errors.ts";
import { exists } from "./files.ts";

/**
 * In place of the cgroup of a container that has none, as its caller may make none: its processes are in the caller's, and
 * what it would take one for is refused.
 */
export class NoCgroup implements Cgroup {
  readonly path = "";
  readonly cloneInto = undefined;
  readonly #reason: string;

  /** @param reason why there is none: the words of an error */
  constructor(reason: string) {
    this.#reason = reason;
  }

  create(): void {}
  adopt(): void {}
  claim(): void {}
  giveTo(): void {}
  restrictDevices(): void {}
  kill(): void {}
  remove(): void {}
  [Symbol.dispose](): void {}

  place(): undefined {
    return undefined;
  }

  joinSteps(): Step[] {
    return [];
  }

  identity(): undefined {
    return undefined;
  }

  exists(): boolean {
    return false;
  }

  isFrozen(): boolean {
    return false;
  }

  /** What the caller is in. */
  view(): CgroupView | undefined {
    return viewOfOwn(detectCgroups(), parseProcCgroup(readFileSync("/proc/self/cgroup", "utf8")), exists);
  }

  async applyResources(): Promise<string[]> {
    return this.#refuse("its processes cannot be limited");
  }

  async updateResources(): Promise<string[]> {
    return this.#refuse("its limits cannot be changed");
  }

  async statistics(): Promise<never> {
    return this.#refuse("nothing counts what it uses");
  }

  async watchOom(): Promise<never> {
    return this.#refuse("nothing tells when its memory is short");
  }

  processes(): number[] {
    return this.#refuse("its processes cannot be told from others");
  }

  signal(): void {
    this.#refuse("its processes cannot be told from others");
  }

  freeze(): void {
    this.#refuse("its processes cannot be stopped");
  }

  thaw(): void {
    this.#refuse("its processes cannot be stopped");
  }

  #refuse(consequence: string): never {
    throw new CgroupError(
      "CGROUPS_NOT_WRITABLE",
      `the container has no cgroup, without which ${consequence}: ${this.#reason}`,
      {
        hint: "a user has cgroups where a part of version 2's hierarchy is given to it (delegation), as systemd does",
      },
    );
  }
}

/**
 * What a process sees of the cgroups that it is in.
 * @param isThere whether a directory exists: of what is above the root of its cgroup namespace no path tells
 */
export function viewOfOwn(
  { v1, v2 }: CgroupHost,
  memberships: readonly CgroupMembership[],
  isThere: (path: string) => boolean,
): CgroupView | undefined {
  if (v1.length === 0) return v2 === undefined ? undefined : { type: "v2", mountPoint: v2 };
  const hierarchies = v1.map(({ controllers, directory, mountPoint }): HierarchyView => {
    const own = memberships.find(({ subsystems }) => {
      const [first] = controllers;
      return subsystems.includes(first ?? `name=${directory}`);
    });
    const source = `${mountPoint}${own?.path ?? ""}`.replace(/\/$/, "");
    return { name: directory, source: isThere(source) ? source : mountPoint };
  });
  const links = v1.flatMap(({ controllers, directory }) =>
    controllers.filter((name) => name !== directory).map((name) => ({ name, target: directory })),
  );
  return { type: "v1", hierarchies, links };
}
