import { DbusConnection, DbusError } from "../../linux/dbus/connection.ts";
import type { DbusValue, DbusVariant } from "../../linux/dbus/marshal.ts";
import type { DbusMessage } from "../../linux/dbus/message.ts";
import { CgroupError } from "./errors.ts";
import type { SystemdCgroupsPath } from "./systemd-path.ts";

/** A property of a unit, in the form that D-Bus carries. org.freedesktop.systemd1(5), systemd.resource-control(5) */
export type UnitProperty = readonly [name: string, value: DbusVariant];

const manager = { path: "/org/freedesktop/systemd1", interface: "org.freedesktop.systemd1.Manager" } as const;
const busName = "org.freedesktop.systemd1";
const errors = {
  exists: "org.freedesktop.systemd1.UnitExists",
  missing: "org.freedesktop.systemd1.NoSuchUnit",
} as const;

/** Where systemd listens: for root alone, and behind the bus that others may use too. */
const sockets = { direct: "/run/systemd/private", bus: "/run/dbus/system_bus_socket" } as const;

/** How long systemd may take for a job; in milliseconds, as runc has it. */
const jobTimeout = 30_000;

const propertiesInterface = "org.freedesktop.DBus.Properties";
const scopeInterface = "org.freedesktop.systemd1.Scope";

/**
 * systemd, asked over D-Bus for the units that it keeps containers in. It answers a request when it has made a job of
 * it, and tells by a signal how the job ended.
 */
export class SystemdManager implements Disposable {
  readonly #connection: DbusConnection;
  readonly #destination: string | undefined;
  readonly #jobs: Jobs;

  private constructor(connection: DbusConnection, destination: string | undefined, jobs: Jobs) {
    this.#connection = connection;
    this.#destination = destination;
    this.#jobs = jobs;
  }

  /**
   * @param places the sockets to try, systemd's own before the bus's
   * @throws CgroupError systemd does not run here, or does not let this user in
   */
  static async connect(places: { readonly direct?: string; readonly bus?: string } = sockets): Promise<SystemdManager> {
    const failures: unknown[] = [];
    for (const [kind, path] of Object.entries(places)) {
      const jobs = new Jobs();
      try {
        const connection = await DbusConnection.connect(path, (message) => jobs.take(message));
        const opened = new SystemdManager(connection, kind === "bus" ? busName : undefined, jobs);
        if (kind === "bus") await opened.#enterBus();
        return opened;
      } catch (error) {
        failures.push(error);
      }
    }
    throw new CgroupError("CGROUPS_UNABLE", "systemd cannot be asked for a cgroup: it does not answer on D-Bus", {
      hint: "on hosts without systemd, leave --systemd-cgroup out and give a cgroupsPath that is a path",
      cause: new AggregateError(failures, "no socket of systemd's answers"),
    });
  }

  /** systemd's version, such as 252. */
  async version(): Promise<number> {
    const { value } = await this.#property(manager.path, manager.interface, "Version");
    return Number(/\d+/.exec(typeof value === "string" ? value : "")?.[0] ?? 0);
  }

  /**
   * Where a scope's processes are: absolute, below each hierarchy's mount point.
   * @throws CgroupError it has no processes any more, or systemd does not tell
   */
  async controlGroup(unit: string): Promise<string> {
    try {
      const { value } = await this.#property(await this.#pathOf(unit), scopeInterface, "ControlGroup");
      if (typeof value === "string" && value.startsWith("/")) return value;
    } catch (error) {
      throw refused(`tell the cgroup of ${unit}`, error);
    }
    throw new CgroupError("CGROUPS_UNABLE", `systemd's unit ${unit} has no cgroup: it has ended already`);
  }

  /**
   * Makes a unit that lives as long as its processes, and returns when it is there. One of the same name that has
   * failed is taken away first.
   * @throws CgroupError systemd cannot make it
   */
  async startTransientUnit(unit: string, properties: readonly UnitProperty[]): Promise<void> {
    const start = async (): Promise<void> =>
      this.#run(`start the unit ${unit}`, "StartTransientUnit", "ssa(sv)a(sa(sv))", [unit, "replace", properties, []]);
    try {
      await start();
    } catch (error) {
      if (!(error instanceof DbusError) || error.errorName !== errors.exists) throw refused(`start ${unit}`, error);
      await this.forgetUnit(unit);
      await start().catch((again: unknown) => {
        throw refused(`start ${unit}`, again);
      });
    }
  }

  /**
   * Ends a unit and what is left in it; one that does not exist is no error.
   * @throws CgroupError systemd cannot end it
   */
  async stopUnit(unit: string): Promise<void> {
    try {
      await this.#run(`stop the unit ${unit}`, "StopUnit", "ss", [unit, "replace"]);
    } catch (error) {
      if (!(error instanceof DbusError) || error.errorName !== errors.missing) throw refused(`stop ${unit}`, error);
    }
    await this.forgetUnit(unit);
  }

  /**
   * A unit that has failed stays known to systemd, and its name taken, until systemd is told to forget it. One that is not
   * there is no error.
   * @throws CgroupError systemd refuses to
   */
  async forgetUnit(unit: string): Promise<void> {
    try {
      await this.#call("ResetFailedUnit", "s", [unit]);
    } catch (error) {
      if (!(error instanceof DbusError) || error.errorName !== errors.missing) throw refused(`forget ${unit}`, error);
    }
  }

  /**
   * Changes properties of a unit until it ends.
   * @throws CgroupError systemd refuses one
   */
  async setUnitProperties(unit: string, properties: readonly UnitProperty[]): Promise<void> {
    const untilItEnds = true;
    try {
      await this.#call("SetUnitProperties", "sba(sv)", [unit, untilItEnds, properties]);
    } catch (error) {
      throw refused(`change the limits of ${unit}`, error);
    }
  }

  [Symbol.dispose](): void {
    this.#connection[Symbol.dispose]();
  }

  /** The bus gives a name to whom it carries for, and no signal that was not asked for. */
  async #enterBus(): Promise<void> {
    const bus = {
      destination: "org.freedesktop.DBus",
      path: "/org/freedesktop/DBus",
      interface: "org.freedesktop.DBus",
    };
    try {
      await this.#connection.call({ ...bus, member: "Hello" });
      const rule = `type='signal',sender='${busName}',interface='${manager.interface}',member='JobRemoved'`;
      await this.#connection.call({ ...bus, member: "AddMatch", signature: "s", body: [rule] });
      await this.#call("Subscribe", "", []);
    } catch (error) {
      this.#connection[Symbol.dispose]();
      throw error;
    }
  }

  async #run(deed: string, member: string, signature: string, body: readonly DbusValue[]): Promise<void> {
    const [job] = await this.#call(member, signature, body);
    const result = await this.#jobs.ended(job as string, jobTimeout);
    if (result === "done") return;
    throw new CgroupError("CGROUPS_UNABLE", `systemd could not ${deed}: ${result ?? "no answer within 30 seconds"}`, {
      hint: "`systemctl status` and `journalctl` tell why",
    });
  }

  async #pathOf(unit: string): Promise<string> {
    const [path] = await this.#call("GetUnit", "s", [unit]);
    return path as string;
  }

  async #property(path: string, of: string, name: string): Promise<DbusVariant> {
    const [answer] = await this.#connection.call({
      destination: this.#destination,
      path,
      interface: propertiesInterface,
      member: "Get",
      signature: "ss",
      body: [of, name],
    });
    return answer as DbusVariant;
  }

  #call(member: string, signature: string, body: readonly DbusValue[]): Promise<readonly DbusValue[]> {
    return this.#connection.call({ ...manager, destination: this.#destination, member, signature, body });
  }
}

/** How jobs ended. A job may end before the answer that names it has come. */
class Jobs {
  readonly #results = new Map<string, string>();
  readonly #waiting = new Map<string, (result: string) => void>();

  take({ member, interface: from, body }: DbusMessage): void {
    if (member !== "JobRemoved" || from !== manager.interface) return;
    const [, job, , result] = body as [number, string, string, string];
    const waiting = this.#waiting.get(job);
    if (waiting === undefined) this.#results.set(job, result);
    else waiting(result);
  }

  /** @returns the result, `done` as a rule; undefined when the time is over */
  async ended(job: string, milliseconds: number): Promise<string | undefined> {
    const known = this.#results.get(job);
    if (known !== undefined) return known;
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    this.#waiting.set(job, resolve);
    const timer = setTimeout(() => resolve(undefined), milliseconds);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(job);
    }
  }
}

/** What a container's scope has apart from its limits: a place, a process, and everything below it to itself. */
export function scopeProperties(
  { slice }: Pick<SystemdCgroupsPath, "slice">,
  { description, pid }: { readonly description: string; readonly pid: number },
): UnitProperty[] {
  const yes: DbusVariant = { signature: "b", value: true };
  return [
    ["Description", { signature: "s", value: description }],
    ["Slice", { signature: "s", value: slice }],
    ["Delegate", yes],
    ["PIDs", { signature: "au", value: [pid] }],
    ["MemoryAccounting", yes],
    ["CPUAccounting", yes],
    ["IOAccounting", yes],
    ["TasksAccounting", yes],
    ["DefaultDependencies", { signature: "b", value: false }],
  ];
}

function refused(deed: string, error: unknown): unknown {
  if (!(error instanceof DbusError)) return error;
  return new CgroupError("CGROUPS_UNABLE", `systemd refuses to ${deed}: ${error.message}`, { cause: error });
}
