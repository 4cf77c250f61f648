import { cgroupPathIn } from "../container/cgroup-path.ts";
import type { ClaimedContainer, ContainerEnd } from "../container/claim.ts";
import { containerEvent } from "../container/events.ts";
import { openLog } from "../container/logs/open-log.ts";
import type { LogWriter } from "../container/logs/log-writer.ts";
import { usualLog } from "../container/logs/usual-log.ts";
import { probeOf } from "../container/healthcheck.ts";
import { HealthCheck, type HealthDuties } from "../container/monitor/health.ts";
import { Monitor, type MonitorDuties, type Restart } from "../container/monitor/monitor.ts";
import type { Ending } from "../container/monitor/protocol.ts";
import { isRestarted, pauseBeforeRestart } from "../container/monitor/restart.ts";
import type { Service } from "../container/monitor/service.ts";
import { removeMonitorSocket } from "../container/monitor/socket.ts";
import { type MonitorDescriptors, type MonitorState, parseMonitorState } from "../container/monitor/state.ts";
import { volumesOf } from "../container/recorded-mounts.ts";
import { ContainerStore } from "../container/records.ts";
import { readStoredSpec } from "../container/stored-spec.ts";
import { VolumeStore } from "../container/volumes.ts";
import { exitCodeOf, reap } from "../linux/process.ts";
import type { RuntimeSpec } from "../oci/runtime-spec.ts";
import { oomKills } from "../runtime/cgroup/oom-kills.ts";
import { openCgroup } from "../runtime/cgroup/open.ts";
import { ExecutionError } from "../runtime/errors.ts";
import { errorMessage } from "../util/errors.ts";
import { recordEnd, recordEvent, recordMounts, recordUnmounts } from "./record-event.ts";
import type { ContainerStores } from "./reconcile.ts";
import { leaveNetworks, openSurroundings } from "./surroundings.ts";

/**
 * The role of a process that looks after one container until that is at its end.
 * @param word what it knows: see `monitorWords`
 */
export async function runMonitor(word: string | undefined): Promise<void> {
  const state = parseMonitorState(word);
  const stores = { containers: ContainerStore.open(state.root), volumes: VolumeStore.open(state.root) };
  const claim = stores.containers.inherit(state.id, state.descriptors.lock);
  const duties = new Duties(state, stores, claim);
  const monitor = new Monitor(state, duties);
  duties.watches(monitor);
  await monitor.run();
}

class Duties implements MonitorDuties {
  readonly #directories: Pick<MonitorState, "root" | "state">;
  readonly #stores: ContainerStores;
  readonly #claim: ClaimedContainer;
  #monitor: Monitor | undefined;
  #exitCode = 0;
  #oomKilled = false;
  #error: string | undefined;

  constructor({ root, state }: MonitorState, stores: ContainerStores, claim: ClaimedContainer) {
    this.#directories = { root, state };
    this.#stores = stores;
    this.#claim = claim;
  }

  watches(monitor: Monitor): void {
    this.#monitor = monitor;
  }

  openLog(onError: (error: unknown) => void): Promise<LogWriter> {
    const { directory, record } = this.#claim;
    const environment = this.#spec().process?.env ?? [];
    return openLog(directory, record.log ?? usualLog, { ...record, environment }, onError);
  }

  openHealthCheck(nextAt: number | undefined): HealthCheck | undefined {
    const claim = this.#claim;
    const { healthcheck, state } = claim.record;
    const probe = probeOf(healthcheck);
    if (probe === undefined) return undefined;
    const onHealth: HealthDuties["onHealth"] = (health, { changed }) => {
      claim.markHealth(health);
      if (changed) recordEvent(this.#context, containerEvent(claim.record, `health_status: ${health.status}`));
    };
    const start = async (args: readonly string[]) => {
      const { startProbe } = await import("../container/monitor/start-probe.ts");
      return await startProbe(claim.record, claim.directory, args);
    };
    const since = Date.parse(state.startedAt ?? "");
    return new HealthCheck(probe, { startProbe: start, onHealth }, since, { health: state.health, nextAt });
  }

  async openServices({ oom, ...sockets }: Pick<MonitorDescriptors, "names" | "ports" | "oom">): Promise<Service[]> {
    const services: Service[] = [];
    if (oom !== undefined) services.push(await this.#openOomService(oom));
    if (sockets.names === undefined && sockets.ports === undefined) return services;
    const { openServices } = await import("./network/services.ts");
    return [...services, ...openServices(this.#directories, this.#claim.record, sockets)];
  }

  async #openOomService(events: number): Promise<Service> {
    const { OomService } = await import("../container/monitor/oom.ts");
    const claim = this.#claim;
    return new OomService({
      events,
      known: claim.record.state.oomKills ?? 0,
      count: () => {
        using cgroup = openCgroup(this.#cgroupPath());
        return oomKills(cgroup);
      },
      onKill: (count) => {
        claim.markOomKilled(count);
        recordEvent(this.#context, containerEvent(claim.record, "oom"));
      },
    });
  }

  async openSockets(descriptors: MonitorDescriptors): Promise<Pick<MonitorDescriptors, "names">> {
    const { openFurtherSockets } = await import("./network/services.ts");
    return openFurtherSockets(this.#stores.containers.read(this.#claim.id), descriptors);
  }

  async processEnded(state: MonitorState): Promise<Restart | undefined> {
    const claim = this.#claim;
    const { pid, startedAt, oomKills: told = 0 } = claim.record.state;
    this.#exitCode = exitCodeOf(reap(pid as number));
    using cgroup = openCgroup(this.#cgroupPath());
    const killed = oomKills(cgroup);
    this.#oomKilled = killed > 0;
    cgroup.kill();
    cgroup.remove();
    await this.#leaveNetworks();
    recordEnd(this.#context, claim.record, { exitCode: this.#exitCode, oomKilled: killed > told });
    // As it is now: others change it while the container runs.
    const record = this.#stores.containers.read(claim.id);
    claim.adopt(record);
    const wasStopped = this.#stores.containers.wasStopped(claim.id);
    const end = { policy: record.restart, exitCode: this.#exitCode, wasStopped, restarts: state.restarts };
    if (!isRestarted(end)) return undefined;
    const pause = pauseBeforeRestart(state.pause, Date.now() - Date.parse(startedAt ?? ""));
    claim.markRestarting(this.#end, state.restarts + 1);
    return { startAt: Date.now() + pause, pause, ending: { exitCode: this.#exitCode } };
  }

  async startAgain(): Promise<Partial<MonitorDescriptors> | undefined> {
    const claim = this.#claim;
    try {
      const { openStored } = await import("./open-container.ts");
      const { startAgain } = await import("../container/monitor/start-again.ts");
      using container = openStored(this.#directories.root, claim);
      using cgroup = openCgroup(this.#cgroupPath());
      await this.#stores.volumes.mount(volumesOf(claim.record.mounts), claim.id);
      recordMounts(this.#context, claim.record);
      await using surroundings = await openSurroundings({
        context: this.#directories,
        containers: this.#stores.containers,
        record: claim.record,
        spec: container.spec,
        // Whoever could be told has gone, and was told at the first start.
        warn: () => {},
      });
      const wasStopped = () => this.#stores.containers.wasStopped(claim.id);
      const descriptors = await startAgain(claim, container, { cgroup, surroundings, wasStopped });
      recordEvent(this.#context, containerEvent(claim.record, "start"));
      return descriptors;
    } catch (error) {
      recordUnmounts(this.#context, claim.record);
      this.#exitCode = error instanceof ExecutionError ? error.exitCode : 125;
      this.#oomKilled = false;
      this.#error = errorMessage(error);
      await this.#leaveNetworks();
      return undefined;
    }
  }

  async finish(): Promise<Ending> {
    const claim = this.#claim;
    const { record } = claim;
    await this.#unmountVolumes();
    const error = this.#error ?? this.#monitor?.logFailure;
    claim.markExited({ ...this.#end, ...(error !== undefined && { error }) });
    removeMonitorSocket(this.#directories.state, claim.id);
    if (record.remove && !this.#stores.containers.isKept(claim.id)) {
      const { removeContainer } = await import("../container/remove.ts");
      await removeContainer(this.#stores, claim, { anonymousVolumes: true });
      recordEvent(this.#context, containerEvent(record, "destroy"));
    }
    claim[Symbol.dispose]();
    return { exitCode: this.#exitCode };
  }

  get #end(): ContainerEnd {
    return { exitCode: this.#exitCode, ...(this.#oomKilled && { oomKilled: true }) };
  }

  /** That it fails must not keep the end from being told. */
  async #leaveNetworks(): Promise<void> {
    try {
      await leaveNetworks(this.#directories, this.#claim.id);
    } catch (error) {
      this.#error ??= errorMessage(error);
    }
  }

  /** That it fails must not keep the end from being told. */
  async #unmountVolumes(): Promise<void> {
    const { id, record } = this.#claim;
    try {
      await this.#stores.volumes.unmount(volumesOf(record.mounts), id);
    } catch (error) {
      this.#error ??= errorMessage(error);
    }
  }

  get #context() {
    return { state: this.#directories.state, debug: undefined };
  }

  #cgroupPath(): string {
    return cgroupPathIn(this.#claim.id, this.#spec());
  }

  #spec(): RuntimeSpec {
    return readStoredSpec(this.#claim.id, this.#claim.directory);
  }
}
