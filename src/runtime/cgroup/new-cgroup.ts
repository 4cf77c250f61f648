import type { DeviceCgroupRule, Resources } from "../../oci/runtime-spec.ts";
import type { Cgroup } from "./cgroup.ts";
import { isRefusal } from "./errors.ts";
import { NoCgroup } from "./no-cgroup.ts";
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
  /** Why there is none, where there is none. */
  readonly withoutCgroup?: string | undefined;

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

/**
 * Makes a cgroup that is gocker's own.
 * @param options.isRootless devices are restricted if gocker may do that: who is not root may not, and can make none
 * @throws CgroupError it cannot be made here
 */
export function makeNewCgroup(
  path: string,
  { resources, deviceRules }: CgroupLimits,
  { isRootless = false }: { readonly isRootless?: boolean } = {},
): NewCgroup {
  const cgroup = openCgroup(path);
  cgroup.create();
  cgroup.claim();
  const identity = cgroup.identity();
  return {
    cgroup,
    async limit() {
      try {
        cgroup.restrictDevices(deviceRules);
      } catch (error) {
        if (!isRootless || !isRefusal(error)) throw error;
      }
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

/** In place of a cgroup, for a container that goes without: see `NoCgroup`. */
export function withoutCgroup(reason: string): NewCgroup {
  const cgroup = new NoCgroup(reason);
  return {
    cgroup,
    withoutCgroup: reason,
    limit: async () => [],
    settle: async () => [],
    undo: async () => {},
    [Symbol.dispose]: () => {},
  };
}
