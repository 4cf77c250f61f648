import { cgroupPathIn } from "../container/cgroup-path.ts";
import type { ContainerEnd } from "../container/claim.ts";
import { commandNotFoundHint } from "../container/command.ts";
import { containerEvent } from "../container/events.ts";
import type { CreatedContainer } from "../container/create.ts";
import { openJoined } from "../container/open-joined.ts";
import { volumesOf } from "../container/recorded-mounts.ts";
import { removeContainer as removeFiles } from "../container/remove.ts";
import { defaultDetachKeys, parseDetachKeys } from "../container/detach-keys.ts";
import type { Greeting } from "../container/monitor/protocol.ts";
import type { ContainerStore } from "../container/records.ts";
import { DirectStdio, TerminalStdio } from "../container/stdio.ts";
import { Supervisor } from "../container/supervisor.ts";
import type { OwnedFd } from "../linux/fd.ts";
import { exitCodeOf } from "../linux/process.ts";
import { openCgroup } from "../runtime/cgroup/open.ts";
import { ExecutionError } from "../runtime/errors.ts";
import type { LaunchPlan } from "../runtime/plan/launch-plan.ts";
import { errorMessage } from "../util/errors.ts";
import { needsMonitor } from "./conflicts.ts";
import type { EngineContext } from "./context.ts";
import { createFromOptions, type NewContainer } from "./create.ts";
import { checkInputDevice } from "./input-device.ts";
import { recordEnd, recordEvent, recordMounts, recordUnmounts } from "./record-event.ts";
import type { RunOptions } from "./options.ts";
import type { ExplainedPlan, RunUi } from "./run-ui.ts";
import { leaveNetworks, openSurroundings, type Surroundings } from "./surroundings.ts";

/**
 * `gocker run`: finds or pulls the image, makes a container of it, runs that in the foreground, and removes it when the
 * options say so.
 * @returns the exit code of the container's program: 128 and the signal's number when a signal ended it; or that of
 *   `showContainer`, when a container with a monitor was left
 * @throws ExecutionError when the program cannot be executed; any GockerError when the container could not be started
 */
export async function run(context: EngineContext, options: RunOptions, ui: RunUi): Promise<number> {
  checkInputDevice(options);
  using made = await createFromOptions(context, options, ui);
  // Known by now: what the image wants, too.
  const { record } = made.created.claim;
  if (options.explain === undefined && (isLeft(options) || needsMonitor(record))) {
    return await runAttached(context, options, ui, made);
  }
  if (options.explain === "run" && needsMonitor(record)) {
    ui.warn("nobody looks at the container's health: with --explain it has no monitor");
  }
  return await runAlone(context, options, ui, made);
}

/** Whether a container may be left to itself: what belongs to the command alone cannot. */
function isLeft({ remove, detachKeys, attach, keepSignals }: RunOptions): boolean {
  // The outputs that are not wanted are somebody's who reads them.
  return !remove || detachKeys !== undefined || attach !== undefined || keepSignals === true;
}

/** A container without a monitor: it is the command's own, and ends with it. */
async function runAlone(
  context: EngineContext,
  options: RunOptions,
  ui: RunUi,
  { stores, created }: NewContainer,
): Promise<number> {
  const { claim } = created;
  // A clean-up that fails is told beside what failed before it, and keeps none of the others from being done.
  await using cleanup = new AsyncDisposableStack();
  cleanup.use(claim);
  if (options.remove || options.explain === "only") {
    const { record } = claim;
    cleanup.defer(async () => {
      await removeFiles(stores, claim, { anonymousVolumes: true });
      recordEvent(context, containerEvent(record, "destroy"));
    });
  }
  try {
    await using _volumes = await stores.volumes.use(volumesOf(claim.record.mounts), claim.id);
    if (options.explain !== "only") {
      recordEvent(context, containerEvent(claim.record, "attach"));
      recordMounts(context, claim.record);
    }
    await using _networks = networksOf(context, created);
    const { containers } = stores;
    const { record } = claim;
    // To show what is done for a container must not change the host.
    await using surroundings = await (options.explain === "only"
      ? openJoined(created.spec, containers)
      : openSurroundings({ context, containers, record, spec: created.spec, warn: (message) => ui.warn(message) }));
    const end = await runCreated(context, created, options, { ui, surroundings });
    if (options.explain === "only") return end.exitCode;
    // Before the record tells it, or is gone: who waits for the end asks then how it was.
    recordEnd(context, claim.record, end);
    claim.markExited(end);
    return end.exitCode;
  } catch (error) {
    const exitCode = error instanceof ExecutionError ? error.exitCode : 125;
    cleanup.defer(() => claim.markExited({ exitCode, error: errorMessage(error) }));
    recordUnmounts(context, claim.record);
    throw error;
  }
}

/** What the container has of its networks, to be given back. */
function networksOf(context: EngineContext, { claim }: CreatedContainer): AsyncDisposable {
  return { [Symbol.asyncDispose]: () => leaveNetworks(context, claim.id) };
}

/** A container with a monitor: what it writes is kept, and it can be left to itself and attached to. */
async function runAttached(
  context: EngineContext,
  options: RunOptions,
  ui: RunUi,
  made: NewContainer,
): Promise<number> {
  const { detachKeys = parseDetachKeys(defaultDetachKeys) } = options;
  const attach = {
    input: options.interactive,
    detachKeys,
    signals: options.keepSignals !== true,
    ...(options.attach !== undefined && { outputs: new Set<string>(options.attach) }),
  };
  const { greetingOf, showContainer } = await import("./attach.ts");
  return await withMonitor(context, options, made, async (created, containers, start) => {
    const { record } = created.claim;
    tellStart(created, options, ui);
    if (options.attach?.every((stream) => stream === "stdin") === true) ui.onUnseen?.(record.id);
    const connect = () => start(greetingOf(record, attach));
    const exitCode = await showContainer(context, containers, record, connect, attach);
    if (exitCode === undefined) throw new Error("a monitor was greeted, and there is no connection to it");
    return exitCode;
  });
}

function tellStart({ claim, spec }: CreatedContainer, options: RunOptions, ui: RunUi): void {
  ui.onLog(`Running [${(spec.process?.args ?? []).join(" ")}] on image ${options.image}`);
  ui.onLog(`Starting container ${claim.id}`);
}

/**
 * `gocker run --detach`: as {@link run}, but returns when the container's program runs, which goes on by itself.
 * @returns the container's ID
 * @throws as {@link run}
 */
export async function runDetached(context: EngineContext, options: RunOptions, ui: RunUi): Promise<string> {
  using made = await createFromOptions(context, options, ui);
  return await withMonitor(context, options, made, async ({ claim }, _containers, start) => {
    await start();
    return claim.id;
  });
}

type Use<Result> = (
  created: CreatedContainer,
  containers: ContainerStore,
  /** Starts it. @returns the connection of a greeting */
  start: (greeting?: Greeting) => Promise<OwnedFd | undefined>,
) => Promise<Result>;

/** A container that a monitor looks after once it is started. Should it not start, it is gone where it is not to stay. */
async function withMonitor<Result>(
  context: EngineContext,
  options: RunOptions,
  { stores, created }: NewContainer,
  use: Use<Result>,
): Promise<Result> {
  const { claim } = created;
  const { startClaimed } = await import("./start.ts");
  await using cleanup = new AsyncDisposableStack();
  cleanup.use(claim);
  const start = async (greeting?: Greeting) => {
    try {
      return await startClaimed(context, stores.containers, created, greeting);
    } catch (error) {
      if (options.remove) cleanup.defer(() => removeFiles(stores, claim, { anonymousVolumes: true }));
      throw isNotFound(error) ? withHint(error, created, options) : error;
    }
  };
  return await use(created, stores.containers, start);
}

function isNotFound(error: unknown): error is ExecutionError {
  return error instanceof ExecutionError && error.exitCode === 127;
}

async function runCreated(
  context: EngineContext,
  created: CreatedContainer,
  options: RunOptions,
  { ui, surroundings }: { readonly ui: RunUi; readonly surroundings: Omit<Surroundings, symbol> | undefined },
): Promise<ContainerEnd> {
  const { claim, spec, specVersion, rootFileSystem, resolveTarget } = created;
  using cgroup = openCgroup(cgroupPathIn(claim.id, spec));
  using stdio = options.terminal
    ? new TerminalStdio({ interactive: options.interactive })
    : await DirectStdio.open({ interactive: options.interactive, owner: spec.process?.user.uid ?? 0 });
  const supervisor = new Supervisor({
    claim,
    spec,
    specVersion,
    root: rootFileSystem,
    cgroup,
    stdio,
    reaper: options.init,
    onStarted: () => recordEvent(context, containerEvent(claim.record, "start")),
    surroundings,
    resolveTarget,
    warn: (message) => ui.warn(message),
    ...(options.explain === "run" && {
      onLaunched: (plan: LaunchPlan, times: readonly bigint[]) =>
        ui.onExplain?.({
          ...explained(plan, times),
          attachments: surroundings?.attachments ?? [],
        }),
    }),
  });
  if (options.explain === "only") {
    ui.onExplain?.(explained(supervisor.plan()));
    return { exitCode: 0 };
  }
  tellStart(created, options, ui);
  try {
    const { oomKilled, ...status } = await supervisor.run();
    return { exitCode: exitCodeOf(status), ...(oomKilled && { oomKilled }) };
  } catch (error) {
    throw isNotFound(error) ? withHint(error, created, options) : error;
  }
}

/** Words after the image replace ENTRYPOINT; who meant them as its arguments is told how to pass them. */
function withHint(error: ExecutionError, created: CreatedContainer, options: RunOptions): ExecutionError {
  const hint = commandNotFoundHint({ ...options, image: created.imageConfig.config }, options.image);
  return hint === undefined ? error : new ExecutionError(error.program, error.reason, error.exitCode, { hint });
}

/** The plan with what each step took: the time since the step before it that ran. */
function explained(plan: LaunchPlan, readings?: readonly bigint[]): ExplainedPlan {
  const clone = { flags: BigInt(plan.namespaces) };
  if (readings === undefined) return { clone, steps: plan.steps };
  let previous = readings.find((reading) => reading !== 0n) ?? 0n;
  const times = readings.map((reading) => {
    if (reading === 0n) return 0;
    const took = Number(reading - previous);
    previous = reading;
    return took;
  });
  return { clone, steps: plan.steps, times };
}
