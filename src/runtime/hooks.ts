import { fstatSync, readSync } from "node:fs";
import { SIGKILL } from "../linux/constants.ts";
import { createMemfd, type OwnedFd } from "../linux/fd.ts";
import { launch } from "../linux/launch/launch.ts";
import { type Step, words } from "../linux/launch/plan.ts";
import { processEnded, reap, sendSignal } from "../linux/process.ts";
import { signalReason } from "../linux/signals.ts";
import type { Hook, Hooks } from "../oci/runtime-spec.ts";
import { GockerError } from "../util/errors.ts";
import type { OciState } from "./oci-state.ts";
import { PlanBuilder } from "./plan/builder.ts";
import { addJoin, type JoinTarget } from "./plan/join.ts";
import { addCloseOnExec, addEarlyDeathSignal, addSignalDefaults } from "./plan/process.ts";
import { type PlannedProcess, programOfPlan } from "./planned-process.ts";

/** A hook ended with an error, took too long, or could not be executed. */
export class HookError extends GockerError {
  override readonly name = "HookError";
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super("HOOK", message, options);
  }
}

/**
 * Starts a hook's program. Its owner waits for its end.
 * @param stdio what becomes its descriptors 0, 1 and 2
 * @returns when the program runs
 * @throws ExecutionError, SystemCallError
 */
export type HookStarter = (hook: Hook, stdio: readonly [number, number, number]) => Promise<PlannedProcess>;

/**
 * Runs the hooks of one point of a container's life, one after the other. OCI runtime specification, config.md,
 * "POSIX-platform Hooks"
 * @param kind which ones
 * @param state what each reads from its standard input
 * @param options.start by what they begin, and so where they run: where gocker does, unless told
 * @param options.signal ends them
 * @throws HookError for the first that fails; those after it are not run. The signal's reason
 */
export async function runHooks(
  hooks: Hooks | undefined,
  kind: keyof Hooks,
  state: OciState,
  options: { readonly start?: HookStarter; readonly signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const { start = (hook, stdio) => startHook(hook, stdio), signal } = options;
  for (const [index, hook] of (hooks?.[kind] ?? []).entries()) {
    signal?.throwIfAborted();
    await runHook(hook, `error running ${kind} hook #${index}`, { state, start, signal });
  }
}

interface HookRun {
  readonly state: OciState;
  readonly start: HookStarter;
  readonly signal: AbortSignal | undefined;
}

/** @param failure how the message of an error begins */
async function runHook(hook: Hook, failure: string, { state, start, signal }: HookRun): Promise<void> {
  using input = createMemfd("hook-state", Buffer.from(JSON.stringify(state)));
  // A file, and not a pipe that somebody has to empty meanwhile.
  using output = createMemfd("hook-output", new Uint8Array());
  using program = await started(() => start(hook, [input.number, output.number, output.number]), failure);
  const ended = processEnded(program.pidfd);
  if (!(await endsInTime(ended, hook.timeout, signal))) {
    sendSignal(program.pidfd, SIGKILL);
    await ended;
    reap(program.pid);
    signal?.throwIfAborted();
    throw new HookError(`${failure}: ${hook.path} took longer than ${hook.timeout} s and was killed`);
  }
  const status = reap(program.pid);
  if ("code" in status && status.code === 0) return;
  const how = "code" in status ? `ended with exit code ${status.code}` : `was ended by ${signalReason(status.signal)}`;
  throw new HookError(`${failure}: ${hook.path} ${how}${lastOutput(output)}`);
}

async function started(start: () => Promise<PlannedProcess>, failure: string): Promise<PlannedProcess> {
  try {
    return await start();
  } catch (error) {
    throw new HookError(`${failure}: ${(error as Error).message}`, { cause: error });
  }
}

/** Where a hook runs that enters a container which is being made. */
export interface HookPlace {
  readonly join: JoinTarget;
  /** Where the container's root directory is mounted by now. */
  readonly rootfs: string;
}

/**
 * Starts a program of the host's, with all that gocker may do: the specification's author names it, and no image has a
 * say in what it is.
 * @param within a container whose namespaces it enters, and whose root directory is still the host's
 */
export async function startHook(
  hook: Hook,
  stdio: readonly [number, number, number],
  within?: HookPlace,
): Promise<PlannedProcess> {
  using first = launch({
    namespaces: 0,
    steps: hookSteps(hook, within),
    stdio,
    descriptors: within === undefined ? [] : [within.join.pidfd, within.join.root],
  });
  return await programOfPlan(first, hook.path);
}

/** What a hook is executed with, by config.md: without arguments of its own the path is the only one. */
export function hookArguments({ path, args = [] }: Hook): string[] {
  return args.length === 0 ? [path] : [...args];
}

const longestTimer = 2 ** 31 - 1;

/** @returns false when the time is up, or the signal comes, before the end does */
async function endsInTime(
  ended: Promise<void>,
  seconds: number | undefined,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { promise: stopped, resolve } = Promise.withResolvers<boolean>();
  const stop = () => resolve(false);
  // What is longer than timers go would be no time at all.
  const timer = seconds === undefined ? undefined : setTimeout(stop, Math.min(seconds * 1000, longestTimer));
  signal?.addEventListener("abort", stop);
  try {
    return await Promise.race([ended.then(() => true), stopped]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
}

/** The end of what a hook that failed said, for the message. It may have written more than there is memory for. */
function lastOutput(output: OwnedFd): string {
  const most = 1000;
  const { size } = fstatSync(output.number);
  const bytes = Buffer.alloc(Math.min(size, most));
  const length = readSync(output.number, bytes, 0, bytes.length, size - bytes.length);
  const text = bytes.toString("utf8", 0, length).trim();
  return text === "" ? "" : `: ${text}`;
}

function hookSteps(hook: Hook, within: HookPlace | undefined): readonly Step[] {
  const builder = new PlanBuilder();
  if (within !== undefined) {
    addJoin(builder, within.join);
    // As with runc: hooks name the container's files from there. A user namespace's root may find the way closed, and has
    // the directory over all else then (`addTakenRoot`), which `..` of the root enters.
    builder.add({
      label: `Go to the container's root directory ${within.rootfs}`,
      group: "process",
      syscall: "chdir",
      args: [within.rootfs],
      onError: { tolerate: ["EACCES"] },
      onSuccess: { skip: 1 },
    });
    builder.add({ label: "Go to what lies over the root", group: "process", syscall: "chdir", args: ["/.."] });
  }
  // What nobody waits for any more does no harm, and no good. Forgotten by who changes the user.
  addEarlyDeathSignal(builder);
  addSignalDefaults(builder);
  addCloseOnExec(builder);
  builder.add({
    label: `Execute the hook ${hook.path}`,
    group: "process",
    syscall: "execve",
    args: [hook.path, words(...hookArguments(hook), 0), words(...(hook.env ?? ownEnvironment()), 0)],
    path: hook.path,
  });
  return builder.steps;
}

/** As with runc, whose hooks have the caller's variables unless they are given others. */
function ownEnvironment(): readonly string[] {
  return Object.entries(process.env).map(([name, value]) => `${name}=${value}`);
}
