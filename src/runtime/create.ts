import { mkdirSync, readFileSync, writeSync } from "node:fs";
import { openDirectory } from "../linux/at.ts";
import { SIGKILL } from "../linux/constants.ts";
import { errnoReason } from "../linux/errno.ts";
import { createPipe } from "../linux/fd.ts";
import { lsmSupport } from "../linux/lsm.ts";
import { reap, sendSignal } from "../linux/process.ts";
import { signalName } from "../linux/signals.ts";
import { processState } from "../linux/process-state.ts";
import { deniesSetgroups, hostIdOf } from "../linux/user-namespace.ts";
import type { RuntimeSpec } from "../oci/runtime-spec.ts";
import { InvalidDocumentError, UsageError } from "../util/errors.ts";
import type { Bundle } from "./bundle.ts";
import type { Cgroup } from "./cgroup/cgroup.ts";
import { detectCgroups, parseProcCgroup } from "./cgroup/detect.ts";
import type { NewCgroup } from "./cgroup/new-cgroup.ts";
import { baseOfUser, type CgroupPlace, cgroupPlaceOf, makeContainerCgroup } from "./container-cgroup.ts";
import { launchContainer, planContainer } from "./container-process.ts";
import { removeMounts } from "./delete.ts";
import { withDefaultDevices } from "./default-devices.ts";
import { knownCapabilities, unknownCapabilities } from "./known-capabilities.ts";
import { withEnvironment } from "./environment.ts";
import { isAttempt, launchError, lowerFirst } from "./errors.ts";
import { ownHostRights, refuseWhatTakesRoot } from "./host-rights.ts";
import { runHooks, startHook } from "./hooks.ts";
import { ownCaller } from "./id-mapping.ts";
import { openJoinTarget } from "./join-target.ts";
import { needsPreparation } from "./mount-options.ts";
import { ociState } from "./oci-state.ts";
import { beforePivot } from "./plan/launch-plan.ts";
import { filterInForce } from "./plan/seccomp-listener.ts";
import type { PreparedMounts } from "./prepared-mounts.ts";
import { type PlannedProcess, processOfPlan } from "./planned-process.ts";
import { ContainerStateError, type RuntimeContainer } from "./runtime-container.ts";
import { filterFlags } from "./seccomp/actions.ts";
import { listenerOf } from "./seccomp/listener.ts";
import { makeStartFifo } from "./start-fifo.ts";
import type { StateStore } from "./state-store.ts";
import type { ContainerUsers } from "./users.ts";
import { giveStdio, ownedStdio } from "./stdio.ts";

/** What `create` is told on its command line. */
export interface CreateOptions {
  readonly store: StateStore;
  readonly id: string;
  readonly bundle: Bundle;
  /** See `MountFacts.resolveTarget`. */
  resolveTarget(path: string): string;
  readonly stdio: readonly [number, number, number];
  /** A connected unix socket to which the terminal's master side is sent. */
  readonly terminalSocket?: number | undefined;
  /** How many of the caller's descriptors after the standard ones the container gets. */
  readonly preservedDescriptors: number;
  readonly newKeyring: boolean;
  /** Change the root without pivot_root(2). */
  readonly noPivot: boolean;
  /** Have systemd make the cgroup, as a scope. */
  readonly systemdCgroup: boolean;
  /**
   * gocker may lack the right to make cgroups (`--rootless`): a container whose specification names none, and no limits,
   * goes without one then, and is not kept from devices by it.
   */
  readonly isRootless?: boolean | undefined;
  /** Told of what does not keep the container from being made. */
  readonly warn: (message: string) => void;
  /** Told of what is worth to know when a container is not as it should be. */
  readonly debug?: (message: string) => void;
  /** Ends the making; what was made is undone then. */
  readonly signal?: AbortSignal | undefined;
}

/** A container that waits to be started. Disposing releases its lock and descriptors; the container stays. */
export interface CreatedContainer extends Disposable {
  readonly container: RuntimeContainer;
  readonly pid: number;
}

/**
 * Makes a container whose first process waits to be started, and returns when it does: nothing of gocker's stays behind.
 * OCI runtime specification, runtime.md, "Create"
 * @throws ConflictError, InvalidDocumentError, CgroupError, HookError, ExecutionError, SystemCallError, and the signal's
 *   reason: of what was made nothing is left then
 */
export async function createContainer(options: CreateOptions): Promise<CreatedContainer> {
  const { bundle } = options;
  const { spec } = bundle;
  checkTerminal(spec, options);
  for (const name of unknownCapabilities(spec.process)) options.warn(`ignoring unknown capability ${name}`);
  if (spec.linux?.mountLabel !== undefined && !lsmSupport().selinux) {
    options.warn("linux.mountLabel has no effect: SELinux is not in force on this host");
  }
  refuseWhatTakesRoot(spec, ownCaller(), options);
  const place = await cgroupPlaceOf(spec, { ...options, base: baseOfCgroups() });
  await using cleanup = new AsyncDisposableStack();
  const container = options.store.reserve(options.id);
  cleanup.defer(() => container.forget());
  cleanup.defer(() => removeMounts(container));
  container.writeSpec(bundle.text, spec);
  const state = firstState(options.id, bundle, place);
  // A unit is systemd's too: whoever finds its name here can end it.
  if (place.unit !== undefined) container.writeState(state);
  using home = await makeContainerCgroup(place, spec, options);
  cleanup.defer(() => home.undo());
  // Before there is a process: what is in this cgroup is the container's, whether or not this call comes to note it.
  const { cgroup } = home;
  const without = home.withoutCgroup;
  container.writeState({
    ...state,
    cgroupsPath: cgroup.path,
    cgroupIdentity: cgroup.identity(),
    withoutCgroup: without,
  });
  if (without !== undefined && !state.ownPidNamespace) {
    options.warn("with neither a cgroup nor a pid namespace of its own, processes of the container may outlive it");
  }
  for (const message of await home.limit()) options.warn(message);
  const made = new Made(container, home, bundle, options);
  try {
    const pid = await made.launch();
    cleanup.move();
    return { container, pid, [Symbol.dispose]: () => container[Symbol.dispose]() };
  } catch (error) {
    await stopped(container, spec, options);
    throw error;
  }
}

/** What the specification asks for when a container that was being made is gone. @returns when the hooks are through */
async function stopped(container: RuntimeContainer, spec: RuntimeSpec, { warn }: CreateOptions): Promise<void> {
  try {
    await runHooks(spec.hooks, "poststop", ociState(container.state, "stopped"));
  } catch (error) {
    warn((error as Error).message);
  }
}

/** See `baseOfUser`: the host's root has all of the cgroups. */
function baseOfCgroups(): string {
  if (ownHostRights().makesDevices) return "/";
  return baseOfUser(detectCgroups(), parseProcCgroup(readFileSync("/proc/self/cgroup", "utf8")));
}

function checkTerminal({ process }: RuntimeSpec, { terminalSocket }: CreateOptions): void {
  if (process?.terminal === true && terminalSocket === undefined) {
    throw new UsageError("process.terminal: nobody is there to take the terminal", {
      hint: "name a socket with --console-socket",
    });
  }
  if (process?.terminal !== true && terminalSocket !== undefined) {
    throw new UsageError("there is no terminal to send to the console socket: process.terminal is not set", {
      hint: "leave --console-socket out",
    });
  }
}

function firstState(id: string, { spec, directory, rootfs }: Bundle, place: CgroupPlace) {
  return {
    version: 1,
    ociVersion: spec.ociVersion,
    id,
    bundle: directory,
    rootfs,
    pid: 0,
    pidStartTime: 0,
    created: new Date().toISOString(),
    owner: process.getuid?.() ?? 0,
    cgroupsPath: place.path,
    systemdUnit: place.unit,
    ownPidNamespace: (spec.linux?.namespaces ?? []).some(({ type, path }) => type === "pid" && !path),
    annotations: spec.annotations ?? {},
  } as const;
}

/** A container while it is being made. */
class Made {
  readonly #container: RuntimeContainer;
  readonly #home: NewCgroup;
  readonly #bundle: Bundle;
  readonly #options: CreateOptions;

  constructor(container: RuntimeContainer, home: NewCgroup, bundle: Bundle, options: CreateOptions) {
    this.#container = container;
    this.#home = home;
    this.#bundle = bundle;
    this.#options = options;
  }

  /** @returns the number of the container's first process */
  async launch(): Promise<number> {
    const { rootfs } = this.#bundle;
    const spec = withDefaultDevices(withHome(this.#bundle));
    using cleanup = new DisposableStack();
    const listener = listenerOf(spec.linux?.seccomp);
    const fifo = cleanup.use(makeStartFifo(this.#container.startFifo, { underFilter: listener !== undefined }));
    const pauses = listener !== undefined || hasEarlyHooks(spec) || hasNetDevices(spec);
    const release = pauses ? cleanup.use(createPipe()) : undefined;
    const users = cleanup.use(await usersOf(spec));
    const prepared = cleanup.use(await prepare(spec, rootfs, { users, cgroup: this.#home.cgroup }));
    const uid = hostUser(spec, users);
    if (uid !== 0 && mayChangeCgroups(spec)) this.#home.cgroup.giveTo(uid);
    const { stdio, terminalSocket, newKeyring, preservedDescriptors, noPivot, signal } = this.#options;
    const rights = ownHostRights();
    const isGiven = spec.process?.terminal !== true;
    if (isGiven && rights.isRoot) giveStdio(stdio, uid);
    const options = {
      id: this.#container.id,
      spec,
      root: { kind: "directory", path: rootfs },
      cgroup: this.#home.cgroup,
      resolveTarget: (path: string) => this.#options.resolveTarget(path),
      prepared,
      rights,
      givenStdio: isGiven && !rights.isRoot ? ownedStdio(stdio) : [],
      setgroupsDenied: users?.setgroupsDenied ?? deniesSetgroups("self"),
      userNamespace: users?.isNew === true ? users.namespace.number : undefined,
      terminalSocket,
      stdio,
      reaper: false,
      diesWithParent: true,
      created: {
        startFifo: fifo.number,
        release: release?.reader.number,
        newKeyring,
        preservedDescriptors,
        noPivot,
        placeOfMounts: this.#container.placeOfMounts,
      },
    } as const;
    if (spec.linux?.seccomp !== undefined) {
      this.#options.debug?.(`seccomp filter flags: ${filterFlags(spec.linux.seccomp)}`);
    }
    const plan = planContainer(options);
    signal?.throwIfAborted();
    if (plan.hasHostMounts) mkdirSync(this.#container.placeOfMounts, 0o700);
    using launched = launchContainer(plan, options, { timed: false });
    const child = plan.tellsChild ? await launched.status.childTold() : undefined;
    using process = processOfPlan(launched, child);
    using abandoned = new DisposableStack();
    abandoned.defer(() => {
      if (sendSignal(process.pidfd, SIGKILL)) reap(process.pid);
    });
    using _stop = onAbort(signal, () => void sendSignal(process.pidfd, SIGKILL));
    this.#noteProcess(process);
    if (release !== undefined && (await launched.status.reaches(beforePivot))) {
      await this.#settleCgroup();
      // Before the hooks, as with runc: what these are told of is there.
      if (plan.deviceMoves.length > 0) {
        const { moveNetDevicesTo } = await import("./network-devices.ts");
        moveNetDevicesTo(process.pid, plan.deviceMoves);
      }
      await this.#runEarlyHooks();
      writeSync(release.writer.number, new Uint8Array(1));
    }
    if (listener !== undefined && release !== undefined && (await launched.status.reaches(filterInForce))) {
      const { handListenerOver } = await import("./seccomp-agent.ts");
      const { pid, pidfd } = process;
      handListenerOver(listener, { pid, pidfd, preservedDescriptors }, ociState(this.#container.state, "creating"));
      writeSync(release.writer.number, new Uint8Array(1));
    }
    const outcome = await launched.status.outcome();
    const error = launchError(outcome, spec.process?.args?.[0] ?? "", plan);
    signal?.throwIfAborted();
    if (error !== undefined) throw error;
    this.#checkWaiting(process);
    await this.#settleCgroup();
    for (const failed of outcome.reported.filter((one) => !isAttempt(one))) {
      this.#options.warn(`can't ${lowerFirst(failed.step.label)}: ${errnoReason(failed.errno)}`);
    }
    abandoned.move();
    return process.pid;
  }

  /** A plan that ends without a word was killed: as it was being carried out, or just before it was through. */
  #checkWaiting({ pid }: PlannedProcess): void {
    using waiting = this.#container.openProcess();
    if (waiting !== undefined) return;
    const status = reap(pid);
    const how = "signal" in status ? `was killed by ${signalName(status.signal)}` : `ended with ${status.code}`;
    throw new ContainerStateError(this.#container.id, "stopped", `its first process ${how} while it was being made`, {
      ...("signal" in status && status.signal === SIGKILL && { hint: "a limit of memory may be too small for it" }),
    });
  }

  /** The first process has joined its cgroup, whichever way: it has done more than that. */
  async #settleCgroup(): Promise<void> {
    for (const message of await this.#home.settle()) this.#options.warn(message);
  }

  #noteProcess({ pid }: PlannedProcess): void {
    const pidStartTime = processState(pid)?.startTime ?? 0;
    this.#container.writeState({ ...this.#container.state, pid, pidStartTime });
  }

  /** config.md: `prestart` and `createRuntime` in the runtime's namespaces, `createContainer` in the container's. */
  async #runEarlyHooks(): Promise<void> {
    const { hooks } = this.#bundle.spec;
    const { signal } = this.#options;
    const state = ociState(this.#container.state, "creating");
    // These are older than the state `creating`, and were made for a container that is there and not started.
    await runHooks(hooks, "prestart", { ...state, status: "created" }, { signal });
    await runHooks(hooks, "createRuntime", state, { signal });
    if ((hooks?.createContainer ?? []).length === 0) return;
    using join = openJoinTarget(this.#container);
    if (join === undefined) throw new InvalidDocumentError("the container ended before its hooks were run");
    const { rootfs } = this.#bundle;
    await runHooks(hooks, "createContainer", state, {
      start: (hook, stdio) => startHook(hook, stdio, { join, rootfs }),
      signal,
    });
  }
}

function onAbort(signal: AbortSignal | undefined, act: () => void): Disposable {
  signal?.addEventListener("abort", act);
  return { [Symbol.dispose]: () => signal?.removeEventListener("abort", act) };
}

/** What the mounts take, for the few that take anything. */
async function prepare(
  { mounts = [] }: RuntimeSpec,
  rootfs: string,
  of: { readonly users: ContainerUsers | undefined; readonly cgroup: Cgroup },
): Promise<PreparedMounts | undefined> {
  if (!mounts.some(needsPreparation)) return undefined;
  const { prepareMounts } = await import("./prepared-mounts.ts");
  return await prepareMounts(mounts, rootfs, of);
}

/** The user namespace, of the few containers that have one. */
async function usersOf(spec: RuntimeSpec): Promise<ContainerUsers | undefined> {
  const { namespaces = [], uidMappings = [], gidMappings = [] } = spec.linux ?? {};
  const hasMappings = uidMappings.length + gidMappings.length > 0;
  if (!hasMappings && !namespaces.some(({ type }) => type === "user")) return undefined;
  const { prepareUsers } = await import("./users.ts");
  return prepareUsers(spec);
}

/** Whether the container sees its own cgroup as the root of all and may write to it. */
function mayChangeCgroups({ linux, mounts = [] }: RuntimeSpec): boolean {
  const isOwn = (linux?.namespaces ?? []).some(({ type }) => type === "cgroup");
  return (
    isOwn && mounts.some(({ type, options = [] }) => type?.startsWith("cgroup") === true && !options.includes("ro"))
  );
}

/** The program's user, as the host numbers it. */
function hostUser({ process }: RuntimeSpec, users: ContainerUsers | undefined): number {
  const uid = process?.user.uid ?? 0;
  return users === undefined ? uid : (hostIdOf(uid, users.mappings.uids) ?? uid);
}

/** The specification with its process's environment as it will be. */
function withHome({ spec, rootfs }: Bundle): RuntimeSpec {
  if (spec.process === undefined) return spec;
  using root = openDirectory(rootfs);
  return { ...spec, process: withEnvironment(knownCapabilities(spec.process), root.number) };
}

function hasEarlyHooks({ hooks }: RuntimeSpec): boolean {
  return [hooks?.prestart, hooks?.createRuntime, hooks?.createContainer].some((list) => (list ?? []).length > 0);
}

function hasNetDevices({ linux }: RuntimeSpec): boolean {
  return Object.keys(linux?.netDevices ?? {}).length > 0;
}
