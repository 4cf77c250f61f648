import type { ContainerRecord } from "../container/record.ts";
import { forAllAtOnce } from "../util/each.ts";
import type { EngineContext } from "./context.ts";
import { openContainers } from "./reconcile.ts";
import { startStored } from "./start.ts";
import { stop, type StopOptions } from "./stop.ts";

/**
 * `gocker start --restartable`: starts the containers that their policies want to run after a boot, the others too when
 * one fails.
 * @param onStarted told of each by its name
 * @throws what kept one from it; an AggregateError for several
 */
export async function startRestartable(context: EngineContext, onStarted: (name: string) => void): Promise<void> {
  const { containers } = await openContainers(context);
  const wanted = containers.list().filter((record) => isWanted(record, containers.wasStopped(record.id)));
  await forAllAtOnce(wanted, async ({ id, name }) => {
    await startStored(context, containers, id);
    onStarted(name);
  });
}

/**
 * `gocker stop --restartable`: stops the containers that have a policy, in a way after which that starts them again.
 * @throws as {@link startRestartable}
 */
export async function stopRestartable(
  context: EngineContext,
  options: StopOptions,
  onStopped: (name: string) => void,
): Promise<void> {
  const { containers } = await openContainers(context);
  const running = containers.list().filter((record) => record.restart !== undefined && isAlive(record));
  await forAllAtOnce(running, async ({ id, name }) => {
    await stop(context, containers, id, { ...options, forShutdown: true });
    onStopped(name);
  });
}

/** Whether a container is to run after a boot: by docker's rules, when its daemon starts. */
export function isWanted(record: ContainerRecord, wasStopped: boolean): boolean {
  const { restart, state } = record;
  if (restart === undefined || state.status === "created" || isAlive(record)) return false;
  if (restart.name === "always") return true;
  if (wasStopped) return false;
  return restart.name === "unless-stopped" || state.exitCode !== 0;
}

function isAlive({ state }: ContainerRecord): boolean {
  return state.status === "running" || state.status === "restarting";
}
