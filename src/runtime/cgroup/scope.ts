import { existsSync } from "node:fs";
import { PR_SET_PDEATHSIG, SIGKILL } from "../../linux/constants.ts";
import { openNull } from "../../linux/fd.ts";
import { launch } from "../../linux/launch/launch.ts";
import { reap, sendSignal } from "../../linux/process.ts";
import type { Resources } from "../../oci/runtime-spec.ts";
import type { Cgroup } from "./cgroup.ts";
import { normaliseDeviceRules } from "./devices/rules.ts";
import { deviceProperties } from "./devices/systemd.ts";
import { CgroupError } from "./errors.ts";
import { readControl } from "./files.ts";
import { changeResources, newSettings } from "./limits/apply.ts";
import type { Setting } from "./limits/setting.ts";
import { type PresentBandwidth, systemdLimits } from "./limits/systemd.ts";
import type { CgroupLimits, NewCgroup } from "./new-cgroup.ts";
import { openCgroup } from "./open.ts";
import { scopeProperties, SystemdManager, type UnitProperty } from "./systemd.ts";
import type { SystemdCgroupsPath } from "./systemd-path.ts";

/** What a scope is made from. */
export interface ScopeOptions extends CgroupLimits {
  readonly description: string;
  /** These win over what the resources come to. */
  readonly properties: readonly UnitProperty[];
}

/** Whether systemd runs this host. sd_booted(3) */
const isSystemdRunning = (): boolean => existsSync("/run/systemd/system");

/**
 * systemd, where it runs. The caller disposes of the connection.
 * @throws CgroupError it does not run here, or does not answer
 */
export async function connectSystemd(): Promise<SystemdManager> {
  if (isSystemdRunning()) return await SystemdManager.connect();
  throw new CgroupError("CGROUPS_UNABLE", "systemd does not run on this host, and can make no cgroups", {
    hint: "leave --systemd-cgroup out (podman: --cgroup-manager cgroupfs; containerd: SystemdCgroup = false)",
  });
}

/**
 * The scope of a container that is being made. A scope begins with a process and ends with its last one, but a container
 * is born into its cgroup: so a process that does nothing holds the place until then.
 */
export class NewScope implements NewCgroup {
  readonly unit: string;
  /** Where systemd has made it; its descriptors are closed with the scope's. */
  readonly cgroup: Cgroup;
  readonly #systemd: SystemdManager;
  readonly #limits: CgroupLimits;
  readonly #placeholder: Disposable;
  readonly #owned: DisposableStack;
  #isSettled = false;

  private constructor(parts: {
    readonly unit: string;
    readonly cgroup: Cgroup;
    readonly systemd: SystemdManager;
    readonly limits: CgroupLimits;
    readonly placeholder: Disposable;
    readonly owned: DisposableStack;
  }) {
    this.unit = parts.unit;
    this.cgroup = parts.cgroup;
    this.#systemd = parts.systemd;
    this.#limits = parts.limits;
    this.#placeholder = parts.placeholder;
    this.#owned = parts.owned;
  }

  /**
   * Has systemd make a scope.
   * @param systemd belongs to the scope from then on
   * @param open finds the cgroup
   * @throws CgroupError systemd cannot make it; InvalidDocumentError a limit is none: nothing is left then
   */
  static async make(
    systemd: SystemdManager,
    { unit, slice, path }: SystemdCgroupsPath,
    options: ScopeOptions,
    open: (path: string) => Cgroup = openCgroup,
  ): Promise<NewScope> {
    using owned = new DisposableStack();
    owned.use(systemd);
    const planned = owned.use(open(path));
    const { deviceRules } = options;
    const properties = [
      ...(planned.place("devices")?.version === 1 ? deviceProperties(normaliseDeviceRules(deviceRules)) : []),
      ...(await propertiesOf(systemd, newSettings(planned, withoutPids(options.resources)))),
      ...options.properties,
    ];
    const placeholder = owned.use(startPlaceholder());
    const own = scopeProperties({ slice }, { description: options.description, pid: placeholder.pid });
    await systemd.startTransientUnit(unit, [...own, ...properties]);
    // From here on the end of the placeholder ends the scope.
    const cgroup = owned.use(open(await systemd.controlGroup(unit)));
    cgroup.adopt();
    return new NewScope({ unit, cgroup, systemd, limits: options, placeholder, owned: owned.move() });
  }

  async limit(): Promise<string[]> {
    this.cgroup.restrictDevices(this.#limits.deviceRules);
    return await this.cgroup.applyResources(withoutPids(this.#limits.resources));
  }

  /** Ends the placeholder; and limits processes: with two of them a limit of one would have kept out the container's. */
  async settle(): Promise<string[]> {
    if (this.#isSettled) return [];
    this.#isSettled = true;
    this.#placeholder[Symbol.dispose]();
    const { resources } = this.#limits;
    const { pids } = resources;
    if (pids === undefined) return [];
    await this.#systemd.setUnitProperties(
      this.unit,
      await propertiesOf(this.#systemd, newSettings(this.cgroup, { pids })),
    );
    const notes = await this.cgroup.applyResources({ pids });
    // systemd has written the other limits again, rounded.
    await this.cgroup.applyResources(resources);
    return notes;
  }

  async undo(): Promise<void> {
    this.cgroup.kill();
    await removeScope(this.unit, this.cgroup);
  }

  [Symbol.dispose](): void {
    this.#owned.dispose();
  }
}

function withoutPids(resources: Resources): Resources {
  const { pids: _, ...others } = resources;
  return others;
}

/**
 * Changes the limits of a scope in use, as `Cgroup.updateResources` does: by its files, and by its unit's properties,
 * which else would be in force again when systemd looks over its units.
 * @returns what is asked for and has no effect
 * @throws as `Cgroup.updateResources`; CgroupError systemd refuses one
 */
export async function updateScope(
  systemd: SystemdManager,
  { unit, cgroup }: { readonly unit: string; readonly cgroup: Cgroup },
  resources: Resources,
): Promise<string[]> {
  const present = presentBandwidth(cgroup);
  // The kernel judges first.
  const { settings, notes, undo, repeat } = changeResources(cgroup, resources);
  const properties = await propertiesOf(systemd, settings, present);
  if (properties.length === 0) return notes;
  try {
    await systemd.setUnitProperties(unit, properties);
  } catch (error) {
    undo();
    throw error;
  }
  // systemd has written them meanwhile, rounded.
  repeat();
  return notes;
}

/**
 * Ends a scope, in which no process lives any more, and removes what is left of its cgroup.
 * @throws CgroupError a process does not end; systemd does not answer, or refuses it
 */
export async function removeScope(unit: string, cgroup: Cgroup): Promise<void> {
  using cleanup = new DisposableStack();
  // Hierarchies of version 1 that systemd does not use.
  cleanup.defer(() => cgroup.remove());
  using manager = await connectSystemd();
  await manager.stopUnit(unit);
}

/** After the end of a scope: systemd remembers those that have failed. @throws CgroupError systemd does not answer */
export async function forgetScope(unit: string): Promise<void> {
  if (!isSystemdRunning()) return;
  using manager = await connectSystemd();
  await manager.forgetUnit(unit);
}

/** Those that this systemd knows; of the others the files alone tell. */
async function propertiesOf(
  systemd: SystemdManager,
  settings: readonly Setting[],
  present?: PresentBandwidth,
): Promise<UnitProperty[]> {
  const limits = systemdLimits(settings, present);
  const version = limits.some(({ since }) => since !== undefined) ? await systemd.version() : 0;
  return limits.filter(({ since = 0 }) => since <= version).map(({ property }) => property);
}

/** Of the two halves of a limit one may be given without the other, which stays. */
function presentBandwidth(cgroup: Cgroup): PresentBandwidth {
  const place = cgroup.place("cpu");
  if (place === undefined) return {};
  const directory = `${place.mountPoint}${cgroup.path}`;
  if (place.version === 1) {
    const read = (file: string): number | undefined => numberIn(`${directory}/${file}`);
    return { quota: read("cpu.cfs_quota_us"), period: read("cpu.cfs_period_us") };
  }
  if (!existsSync(`${directory}/cpu.max`)) return {};
  const [quota = "max", period] = readControl(`${directory}/cpu.max`).split(" ");
  return { quota: quota === "max" ? -1 : Number(quota), period: Number(period) };
}

function numberIn(path: string): number | undefined {
  return existsSync(path) ? Number(readControl(path)) : undefined;
}

/** A process that waits until it is disposed of, or its parent has died. */
function startPlaceholder(): Disposable & { readonly pid: number } {
  using nothing = openNull();
  const started = launch({
    namespaces: 0,
    stdio: [nothing.number, nothing.number, nothing.number],
    steps: [
      { label: "Die with gocker", group: "process", syscall: "prctl", args: [PR_SET_PDEATHSIG, SIGKILL] },
      { label: "Wait for the end", group: "process", syscall: "ppoll", args: [0, 0, 0, 0, 0] },
    ],
  });
  let isOver = false;
  return {
    pid: started.pid,
    [Symbol.dispose]() {
      if (isOver) return;
      isOver = true;
      if (sendSignal(started.pidfd, SIGKILL)) reap(started.pid);
      started[Symbol.dispose]();
    },
  };
}
