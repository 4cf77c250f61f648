import { buildExecProcess, usersBelow } from "../container/exec-process.ts";
import { resolveUserEnvironment } from "../container/environment.ts";
import { containerEvent } from "../container/events.ts";
import { hangUpTime } from "../container/hang-up.ts";
import { LeftAloneError } from "../container/left-alone.ts";
import { newContainerId } from "../util/ids.ts";
import type { ContainerRecord } from "../container/record.ts";
import { NotRunningError, notRunning, standsStill } from "../container/not-running.ts";
import { RecordedContainer } from "../container/recorded-container.ts";
import { ProxiedSignals } from "../container/signal-proxy.ts";
import { type ContainerStdio, DirectStdio, TerminalStdio } from "../container/stdio.ts";
import { availableCapabilities } from "../linux/capabilities.ts";
import { SIGHUP, SIGKILL } from "../linux/constants.ts";
import { errnoReason } from "../linux/errno.ts";
import { openNull, type OwnedFd } from "../linux/fd.ts";
import { exitCodeOf, processEnded, reap, sendSignal } from "../linux/process.ts";
import { windowSize } from "../linux/terminal.ts";
import { ExecutionError } from "../runtime/errors.ts";
import { execInContainer } from "../runtime/exec.ts";
import type { PlannedProcess } from "../runtime/planned-process.ts";
import { GockerError, SystemCallError, UsageError } from "../util/errors.ts";
import type { EngineContext } from "./context.ts";
import { checkInputDevice } from "./input-device.ts";
import { openContainers } from "./reconcile.ts";
import { recordEvent } from "./record-event.ts";

/** What `gocker exec` was asked to do. */
export interface ExecOptions {
  /** The container's name, ID, or the beginning of its ID. */
  readonly container: string;
  readonly command: readonly string[];
  readonly interactive: boolean;
  readonly terminal: boolean;
  /** Return as soon as the program runs. */
  readonly detach: boolean;
  /** From `parseDetachKeys`. */
  readonly detachKeys: Uint8Array;
  /** `KEY=value`, or `KEY` alone: taken from gocker's own environment when it is set there. */
  readonly environment: readonly string[];
  readonly environmentFiles: readonly string[];
  readonly user?: string | undefined;
  /** Absolute. */
  readonly workingDirectory?: string | undefined;
  readonly privileged: boolean;
}

/** How long a container may take from its first process to its program, in milliseconds. */
const longestStart = 10_000;
/** How long others are waited for who have the outputs of a program open that has ended, in milliseconds. */
const patience = 200;

/**
 * `gocker exec`: runs a further program in a container that runs, held by all that holds the container's own.
 * @returns its exit code, 128 and the signal's number when one ended it; 0 when it was left to itself; 129 when gocker's
 *   terminal has hung up, and it goes on
 * @throws NotRunningError, ExecutionError the program cannot be executed, NotFoundError there is no such container,
 *   UnknownUserError, UsageError; LeftAloneError it does not end, and whoever waited for it has insisted
 */
export async function exec(
  context: Pick<EngineContext, "root" | "state" | "debug">,
  options: ExecOptions,
): Promise<number> {
  if (!options.detach) checkInputDevice(options);
  const environment = resolveUserEnvironment(options.environment, options.environmentFiles, process.env);
  const { containers } = await openContainers(context);
  const record = containers.read(containers.resolve(options.container));
  const container = new RecordedContainer(record, containers.directory(record.id));
  if (record.state.status === "restarting") {
    throw new NotRunningError(`container ${options.container} is restarting`, "wait until it runs again");
  }
  await checkRunning(container, options.container);
  const execId = newContainerId();
  const tell = (action: string, more?: Readonly<Record<string, string>>) =>
    recordEvent(context, containerEvent(record, action, { execID: execId, ...more }));
  tell(`exec_create: ${options.command.join(" ")}`);
  const request: ExecRequest = { container, record, options, environment, tell };
  return options.detach ? await detached(request) : await attached(request);
}

interface ExecRequest {
  readonly container: RecordedContainer;
  readonly record: ContainerRecord;
  readonly options: ExecOptions;
  readonly environment: readonly string[];
  /** Records an event. */
  readonly tell: (action: string, more?: Readonly<Record<string, string>>) => void;
}

/** @throws NotRunningError */
async function checkRunning(container: RecordedContainer, name: string): Promise<void> {
  const deadline = performance.now() + longestStart;
  let status = container.status();
  while (status === "creating" && performance.now() < deadline) {
    await Bun.sleep(1);
    status = container.status();
  }
  if (status === "running") return;
  if (status === "paused") throw standsStill(name);
  throw notRunning(name);
}

async function attached(request: ExecRequest): Promise<number> {
  const { interactive, terminal, detachKeys } = request.options;
  if (!terminal) {
    using stdio = await DirectStdio.open({ interactive });
    return await untilEnd(request, stdio);
  }
  using stdio = new TerminalStdio({ interactive, detachKeys: interactive ? detachKeys : undefined });
  return await untilEnd(request, stdio, () => stdio.detached());
}

/** @param detach resolves with a terminal that is to be left to itself, if it does */
async function untilEnd(request: ExecRequest, stdio: ContainerStdio, detach?: () => Promise<OwnedFd>): Promise<number> {
  const leaving = Promise.withResolvers<"hung up">();
  // It may come to that before somebody waits for it.
  leaving.promise.catch(() => {});
  using timers = new DisposableStack();
  const hangUp = () => {
    signals.pass(SIGHUP);
    if (!timers.disposed)
      timers.adopt(
        setTimeout(() => leaving.resolve("hung up"), hangUpTime),
        clearTimeout,
      );
  };
  const onImpatience = () => leaving.reject(leftAlone(request));
  using signals = new ProxiedSignals({ onImpatience, onHangUp: hangUp });
  using started = await start(request, stdio);
  using cleanup = new DisposableStack();
  cleanup.defer(() => {
    if (sendSignal(started.pidfd, SIGKILL)) reap(started.pid);
  });
  await stdio.attach();
  signals.passTo(started.pidfd);
  cleanup.move();
  const ended = processEnded(started.pidfd);
  void stdio.hungUp?.().then(hangUp);
  const left = await Promise.race([ended, leaving.promise, ...(detach === undefined ? [] : [detach()])]);
  if (left === "hung up") return exitCodeOf({ signal: SIGHUP });
  if (left !== undefined) {
    const { holdTerminal } = await import("../container/terminal-holder.ts");
    holdTerminal(left);
    request.tell("exec_detach");
    return 0;
  }
  const code = exitCodeOf(reap(started.pid));
  request.tell("exec_die", { exitCode: String(code) });
  await stdio.drain(patience);
  return code;
}

function leftAlone({ options: { container, command } }: ExecRequest): LeftAloneError {
  return new LeftAloneError(
    `${command[0]} in container ${container}`,
    `it ends with the container: gocker stop ${container}`,
  );
}

/** Nobody will see what the program writes, nor give it anything to read. */
async function detached(request: ExecRequest): Promise<number> {
  if (!request.options.terminal) {
    using nothing = openNull();
    using _started = await start(request, { descriptors: [nothing.number, nothing.number, nothing.number] });
    return 0;
  }
  using stdio = new TerminalStdio({ interactive: false });
  using _started = await start(request, stdio);
  const master = await stdio.take();
  const { holdTerminal } = await import("../container/terminal-holder.ts");
  if (master !== undefined) holdTerminal(master);
  return 0;
}

/** @returns when the program runs */
async function start(
  { container, record, options, environment, tell }: ExecRequest,
  stdio: Pick<ContainerStdio, "descriptors" | "terminalSocket">,
): Promise<PlannedProcess> {
  try {
    const started = await execInContainer(container, {
      process: (root) =>
        buildExecProcess({
          wishes: { ...options, environment },
          record,
          spec: container.readSpec(),
          database: usersBelow(root),
          availableCapabilities: availableCapabilities(),
          ...(options.terminal && { consoleSize: windowSize(1) ?? windowSize(0) }),
        }),
      stdio: stdio.descriptors,
      terminalSocket: stdio.terminalSocket,
      plainOutput: false,
      newKeyring: true,
      preservedDescriptors: 0,
      ignorePaused: false,
      subCgroups: new Map(),
    });
    tell(`exec_start: ${options.command.join(" ")}`);
    return started;
  } catch (error) {
    if (error instanceof ExecutionError || error instanceof UsageError) throw error;
    // It may end at any moment, and whatever is being done in it fails then.
    if (container.status() === "stopped") throw notRunning(options.container);
    const directory = options.workingDirectory ?? container.readSpec().process?.cwd;
    if (error instanceof SystemCallError && error.path === directory) throw noDirectory(error, directory);
    throw error;
  }
}

/** Unlike `run`, `exec` makes no working directory: what is in a container that runs is its programs' affair. */
function noDirectory(error: SystemCallError, directory: string | undefined): GockerError {
  const message = `cannot work in ${directory}: ${errnoReason(error.errno)} in the container`;
  return new GockerError("WORKING_DIRECTORY", message, { cause: error, hint: "name one that is there with -w" });
}
