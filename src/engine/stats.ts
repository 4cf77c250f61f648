import type { ContainerRecord } from "../container/record.ts";
import { RecordedContainer } from "../container/recorded-container.ts";
import type { ContainerStore } from "../container/records.ts";
import { NotFoundError } from "../util/errors.ts";
import type { EngineContext } from "./context.ts";
import { openContainers } from "./reconcile.ts";
import { readUsage, type Usage } from "./usage.ts";

export interface StatsOptions {
  /** Names, IDs, or beginnings of IDs; none for all that run. */
  readonly references: readonly string[];
  /** Without references: also those that do not run. */
  readonly all: boolean;
  /** Between two rounds, in milliseconds. */
  readonly interval: number;
}

/** What one container uses. */
export interface ContainerUsage {
  readonly id: string;
  readonly name: string;
  /** As the user named it; the ID when he named none. */
  readonly reference: string;
  /** Absent when it does not run. */
  readonly usage?: Usage | undefined;
  /** Percent of one processor since the round before; absent in the first one in which it runs. */
  readonly processorShare?: number | undefined;
}

/**
 * What containers use, round after round: the first one at once. Ends when all that were asked for are removed.
 * @throws NotFoundError, UsageError for a reference
 */
export async function* containerStats(
  context: Pick<EngineContext, "root" | "state">,
  options: StatsOptions,
): AsyncGenerator<ContainerUsage[]> {
  const { containers } = await openContainers(context);
  const wanted = new Map(options.references.map((reference) => [containers.resolve(reference), reference]));
  let before = new Map<string, Usage>();
  for (;;) {
    const now = new Map<string, Usage>();
    const round: ContainerUsage[] = [];
    for (const record of recordsOf(containers, wanted)) {
      const { id, name } = record;
      const usage = await readUsage(new RecordedContainer(record, containers.directory(id)));
      if (usage === undefined && wanted.size === 0 && !options.all) continue;
      if (usage !== undefined) now.set(id, usage);
      const reference = wanted.get(id) ?? id;
      round.push({ id, name, reference, usage, processorShare: shareOf(before.get(id), usage) });
    }
    if (wanted.size > 0 && round.length === 0) return;
    yield round;
    before = now;
    await Bun.sleep(options.interval);
  }
}

function recordsOf(containers: ContainerStore, wanted: ReadonlyMap<string, string>): ContainerRecord[] {
  if (wanted.size === 0) return containers.list();
  return [...wanted.keys()].flatMap((id) => {
    try {
      return [containers.read(id)];
    } catch (error) {
      if (error instanceof NotFoundError) return [];
      throw error;
    }
  });
}

function shareOf(before: Usage | undefined, now: Usage | undefined): number | undefined {
  if (before === undefined || now === undefined || now.time <= before.time) return undefined;
  // Less than before: it was started anew.
  return (Math.max(0, now.processorTime - before.processorTime) / (now.time - before.time)) * 100;
}
