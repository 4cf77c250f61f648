import { SIGKILL } from "../../linux/constants.ts";
import type { Step } from "../../linux/launch/plan.ts";
import type { DeviceCgroupRule, Resources } from "../../oci/runtime-spec.ts";
import type { Cgroup, CgroupView, ControllerPlace, OomWatch } from "./cgroup.ts";
import { signalListed } from "./kill.ts";
import type { CgroupStatistics } from "./statistics/types.ts";

/** What is the same in all versions: limits, statistics and events, which are loaded when somebody asks for them. */
export abstract class BaseCgroup implements Cgroup {
  abstract readonly path: string;
  abstract readonly cloneInto: number | undefined;

  abstract create(): void;
  abstract adopt(): void;
  abstract restrictDevices(rules: readonly DeviceCgroupRule[]): void;
  abstract place(controller: string): ControllerPlace | undefined;
  abstract joinSteps(): Step[];
  abstract view(): CgroupView | undefined;
  abstract processes(): number[];
  abstract exists(): boolean;
  abstract claim(): void;
  abstract identity(): string | undefined;
  abstract freeze(): void;
  abstract isFrozen(): boolean;
  abstract thaw(): void;
  abstract kill(): void;
  abstract remove(timeout?: number): void;
  abstract [Symbol.dispose](): void;

  /** Of version 1 none is given away: that would give its limits away with it. */
  giveTo(_uid: number): void {}

  signal(signal: number): void {
    if (signal === SIGKILL) this.kill();
    else signalListed(() => this.processes(), signal);
  }

  async applyResources(resources: Resources): Promise<string[]> {
    // Most containers have rules for devices, and no limits.
    if (Object.keys(resources).every((name) => name === "devices")) return [];
    return (await import("./limits/apply.ts")).applyResources(this, resources);
  }

  async updateResources(resources: Resources): Promise<string[]> {
    return (await import("./limits/apply.ts")).updateResources(this, resources);
  }

  async statistics(): Promise<CgroupStatistics> {
    return (await import("./statistics/statistics.ts")).readStatistics(this);
  }

  async watchOom(onOom: () => void): Promise<OomWatch> {
    return (await import("./oom.ts")).watchOom(this, onOom);
  }
}
