import type { Step } from "../../linux/launch/plan.ts";
import type { DeviceCgroupRule } from "../../oci/runtime-spec.ts";
import { BaseCgroup } from "./base.ts";
import type { Cgroup, CgroupView, ControllerPlace } from "./cgroup.ts";
import type { V1Hierarchy } from "./detect.ts";
import { exists } from "./files.ts";
import { makeCgroup, type MakeCgroup, makeFreshCgroup, makeWhole } from "./tree.ts";
import { CgroupV1 } from "./v1.ts";
import { CgroupV2 } from "./v2.ts";

/**
 * A cgroup in hierarchies of both versions. A controller is in one of them; what belongs to the hierarchy itself
 * (stopping, killing, listing, news of the end) is asked of version 2, which does it better.
 */
export class HybridCgroup extends BaseCgroup {
  readonly path: string;
  readonly #v1: CgroupV1;
  readonly #v2: CgroupV2;
  readonly #v1Controllers: ReadonlySet<string>;
  readonly #v2Directory: string;

  /** @param path absolute, see {@link Cgroup.path} */
  constructor(v1: readonly V1Hierarchy[], v2: string, path: string) {
    super();
    this.path = path;
    this.#v1 = new CgroupV1(v1, path);
    this.#v2 = new CgroupV2(v2, path);
    this.#v1Controllers = new Set(v1.flatMap(({ controllers }) => controllers));
    this.#v2Directory = v2 + path;
  }

  create(): void {
    this.#make(makeFreshCgroup);
  }

  adopt(): void {
    this.#make(makeCgroup);
  }

  restrictDevices(rules: readonly DeviceCgroupRule[]): void {
    (this.#v1Controllers.has("devices") ? this.#v1 : this.#v2).restrictDevices(rules);
  }

  place(controller: string): ControllerPlace {
    return this.#v1.place(controller) ?? this.#v2.place();
  }

  joinSteps(): Step[] {
    return this.#v1.joinSteps();
  }

  get cloneInto(): number {
    return this.#v2.cloneInto;
  }

  view(): CgroupView {
    return this.#v1.view();
  }

  processes(): number[] {
    return [...new Set([...this.#v2.processes(), ...this.#v1.processes()])];
  }

  freeze(): void {
    this.#freezer().freeze();
  }

  isFrozen(): boolean {
    return this.#freezer().isFrozen();
  }

  exists(): boolean {
    return this.#v2.exists() || this.#v1.exists();
  }

  claim(): void {
    this.#v2.claim();
  }

  identity(): string | undefined {
    return this.#v2.identity();
  }

  thaw(): void {
    this.#freezer().thaw();
  }

  kill(): void {
    this.#v2.kill();
    // Whatever left the unified cgroup only, or was placed by a launch that died half-way.
    this.#v1.kill();
  }

  remove(timeout = 2000): void {
    const deadline = performance.now() + timeout;
    this.#v2.remove(timeout);
    this.#v1.remove(Math.max(0, deadline - performance.now()));
  }

  [Symbol.dispose](): void {
    this.#v1[Symbol.dispose]();
    this.#v2[Symbol.dispose]();
  }

  #make(makeIn: MakeCgroup): void {
    makeWhole((made) => {
      this.#v2.make(made, makeIn);
      this.#v1.make(made, makeIn);
    });
  }

  /** Version 1 where its freezer is mounted on a kernel whose version 2 has none yet. */
  #freezer(): Cgroup {
    return exists(`${this.#v2Directory}/cgroup.freeze`) || !this.#v1Controllers.has("freezer") ? this.#v2 : this.#v1;
  }
}
