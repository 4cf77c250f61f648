import type { DeviceCgroupRule, Resources } from "../../oci/runtime-spec.ts";
import type { Cgroup } from "./cgroup.ts";
import { openCgroup } from "./open.ts";

/** What a container's cgroup is to hold it to. */
export interface CgroupLimits {
  /** Apart from `devices`. */
  readonly resources: Resources;
  readonly deviceRules: readonly DeviceCgroupRule[];
}

/** The cgroup of a container that is being made. Disposing closes what its making takes; the cgroup stays. */
export interface NewCgroup extends Disposable {
  readonly cgroup: Cgroup;

  /**
   * Before there is a process of the container's.
   * @returns what is asked for and has no effect, as `Cgroup.applyResources` does
   * @throws as `Cgroup.restrictDevices` and `Cgroup.applyResources`
   */
  limit(): Promise<string[]>;

  /**
   * The container's first process is in it, and its program has not begun. Later calls do nothing.
   * @returns as {@link limit}
   * @throws CgroupError
   */
  settle(): Promise<string[]>;

  /** Kills what is in it, and removes it. @throws CgroupError */
  undo(): Promise<void>;
}

/** Makes a cgroup that is gocker's own. @throws CgroupError it cannot be made here */
export function makeNewCgroup(path: string, { resources, deviceRules }: CgroupLimits): NewCgroup {
  const cgroup = openCgroup(path);
  cgroup.create();
  cgroup.claim();
  const identity = cgroup.identity();
  return {
    cgroup,
    async limit() {
      cgroup.restrictDevices(deviceRules);
      return await cgroup.applyResources(resources);
    },
    settle: async () => [],
    async undo() {
      // Somebody may have removed it, and made another.
      if (cgroup.identity() !== identity) return;
      cgroup.kill();
      cgroup.remove();
    },
    [Symbol.dispose]: () => cgroup[Symbol.dispose](),
  };
}
