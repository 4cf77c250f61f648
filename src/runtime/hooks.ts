import { readFileSync } from "node:fs";
import { SIGKILL } from "../linux/constants.ts";
import { systemCallError } from "../linux/errno.ts";
import { createMemfd, type OwnedFd } from "../linux/fd.ts";
import { launch } from "../linux/launch/launch.ts";
import { type Step, words } from "../linux/launch/plan.ts";
import { processEnded, reap, sendSignal } from "../linux/process.ts";
import type { Hook, Hooks } from "../oci/runtime-spec.ts";
import { GockerError } from "../util/errors.ts";
import type { OciState } from "./oci-state.ts";
import { PlanBuilder } from "./plan/builder.ts";
import { addJoin, type JoinTarget } from "./plan/join.ts";
import { addCloseOnExec, addEarlyDeathSignal, addSignalDefaults } from "./plan/process.ts";

/** A hook ended with an error, took too long, or could not be executed. */
export class HookError extends GockerError {
  override readonly name = "HookError";
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super("HOOK", message, options);
  }
}

/**
 * Runs the hooks of one point of a container's life, one after the other. OCI runtime specification, config.md,
 * "POSIX-platform Hooks"
 * @param kind which ones
 * @param state what each reads from its standard input
 * @param place the container, for hooks that run in its namespaces; absent: they run where gocker does
 * @throws HookError for the first that fails; those after it are not run
 */
export async function runHooks(
  hooks: Hooks | undefined,
  kind: keyof Hooks,
  state: OciState,
  place: HookPlace = {},
): Promise<void> {
  for (const [index, hook] of (hooks?.[kind] ?? []).entries()) {
    await runHook(hook, `error running ${kind} hook #${index}`, state, place);
  }
}

/** Where hooks run. */
export interface HookPlace {
  /** The container whose namespaces and root directory they enter. */
  readonly join?: JoinTarget;
  /** The environment of those that have none of their own: gocker's unless told. */
  readonly environment?: readonly string[] | undefined;
}

/** @param failure how the message of an error begins */
async function runHook(hook: Hook, failure: string, state: OciState, place: HookPlace): Promise<void> {
  const { join } = place;
  using input = createMemfd("hook-state", Buffer.from(JSON.stringify(state)));
  // A file, and not a pipe that somebody has to empty meanwhile.
  using output = createMemfd("hook-output", new Uint8Array());
  using hooked = launch({
    namespaces: 0,
    steps: hookSteps(hook, place),
    stdio: [input.number, output.number, output.number],
    descriptors: join === undefined ? [] : [join.pidfd, join.root],
  });
  const ended = processEnded(hooked.pidfd);
  if (!(await endsInTime(ended, hook.timeout))) {
    sendSignal(hooked.pidfd, SIGKILL);
    await ended;
    reap(hooked.pid);
    throw new HookError(`${failure}: ${hook.path} took longer than ${hook.timeout} s and was killed`);
  }
  const status = reap(hooked.pid);
  const { fatal } = await hooked.status.outcome();
  if (fatal !== undefined) {
    const cause = systemCallError(fatal.step.syscall, { step: fatal.step.label, path: fatal.step.path }, fatal.errno);
    throw new HookError(`${failure}: ${hook.path} cannot be run: ${cause.message}`, { cause });
  }
  if ("code" in status && status.code === 0) return;
  const how = "code" in status ? `exit code ${status.code}` : `signal ${status.signal}`;
  throw new HookError(`${failure}: ${hook.path} ended with ${how}${lastOutput(output)}`);
}

async function endsInTime(ended: Promise<void>, seconds: number | undefined): Promise<boolean> {
  if (seconds === undefined) return ended.then(() => true);
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), seconds * 1000);
  ended.then(
    () => resolve(true),
    () => resolve(true),
  );
  const inTime = await promise;
  clearTimeout(timer);
  return inTime;
}

/** What a hook that failed said, for the message. */
function lastOutput(output: OwnedFd): string {
  const text = readFileSync(`/proc/self/fd/${output.number}`, "utf8").trim();
  const most = 1000;
  return text === "" ? "" : `: ${text.slice(-most)}`;
}

/** The hook's path is looked up after joining: `createContainer` hooks still see the host's files, later ones do not. */
function hookSteps({ path, args, env }: Hook, { join, environment }: HookPlace): readonly Step[] {
  const builder = new PlanBuilder();
  // What nobody waits for any more does no harm, and no good.
  addEarlyDeathSignal(builder);
  if (join !== undefined) addJoin(builder, join);
  addSignalDefaults(builder);
  addCloseOnExec(builder);
  builder.add({
    label: `Execute the hook ${path}`,
    group: "process",
    syscall: "execve",
    args: [
      path,
      words(...(args === undefined || args.length === 0 ? [path] : args), 0),
      words(...(env ?? environment ?? ownEnvironment()), 0),
    ],
    path,
  });
  return builder.steps;
}

/** As with runc, whose hooks have the caller's variables unless they are given others. */
function ownEnvironment(): readonly string[] {
  return Object.entries(process.env).map(([name, value]) => `${name}=${value}`);
}
