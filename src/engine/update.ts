import { cgroupPathIn } from "../container/cgroup-path.ts";
import { containerEvent } from "../container/events.ts";
import { inFlags } from "../container/limit-errors.ts";
import type { ContainerRecord, RestartPolicy } from "../container/record.ts";
import { resourceHost } from "../container/resource-host.ts";
import type { ResourceOptions } from "../container/resource-options.ts";
import { askedResources, mergeResources } from "../container/resources.ts";
import { readStoredSpec, writeStoredSpec } from "../container/stored-spec.ts";
import type { Resources } from "../oci/runtime-spec.ts";
import type { Cgroup } from "../runtime/cgroup/cgroup.ts";
import { changeResources } from "../runtime/cgroup/limits/apply.ts";
import { openCgroup } from "../runtime/cgroup/open.ts";
import { ConflictError } from "../util/errors.ts";
import type { EngineContext } from "./context.ts";
import { openContainers } from "./reconcile.ts";
import { recordEvent } from "./record-event.ts";

/** What is to change; the rest of a container stays as it is. */
export interface UpdateOptions {
  readonly resources?: ResourceOptions | undefined;
  /** `no`: it is not started again. */
  readonly restart?: RestartPolicy | "no" | undefined;
  /** Told of what is asked for and has no effect. */
  readonly warn: (message: string) => void;
}

/**
 * Changes limits of a container, at once when it runs and for its next start, and its restart policy.
 * @param reference its name, ID, or the beginning of its ID
 * @returns its ID
 * @throws NotFoundError there is none; UsageError the reference fits several, or a limit does not fit the others;
 *   ConflictError it is removed when it ends; CgroupError the kernel refuses a limit. Nothing is changed then
 */
export async function updateContainer(
  context: Pick<EngineContext, "root" | "state" | "debug">,
  reference: string,
  options: UpdateOptions,
): Promise<string> {
  const { containers } = await openContainers(context);
  const id = containers.resolve(reference);
  using undo = new DisposableStack();
  const updated = await containers.update(id, (record) => {
    const changed = withRestart(record, options.restart);
    if (options.resources !== undefined) {
      changeLimits({ id, directory: containers.directory(id), undo }, options.resources, options.warn);
    }
    return changed;
  });
  undo.move();
  recordEvent(context, containerEvent(updated, "update"));
  return id;
}

function withRestart(record: ContainerRecord, restart: UpdateOptions["restart"]): ContainerRecord {
  if (restart === undefined) return record;
  const { restart: _before, ...rest } = record;
  if (restart === "no") return rest;
  if (!record.remove) return { ...rest, restart };
  throw new ConflictError(`container ${record.name} cannot have a restart policy: it is removed when it has ended`, {
    hint: "a container that was started with --rm is never started again",
  });
}

interface ChangedContainer {
  readonly id: string;
  readonly directory: string;
  /** Gets what takes each change back. */
  readonly undo: DisposableStack;
}

function changeLimits(container: ChangedContainer, options: ResourceOptions, warn: UpdateOptions["warn"]): void {
  const { id, directory, undo } = container;
  const spec = readStoredSpec(id, directory);
  const present = spec.linux?.resources ?? {};
  const asked = askedResources(present, options, resourceHost);
  // First what is read at a start: who has not read it yet has no cgroup yet, either.
  writeStoredSpec(directory, { ...spec, linux: { ...spec.linux, resources: mergeResources(present, asked) } });
  undo.defer(() => writeStoredSpec(directory, spec));
  using cgroup = openCgroup(cgroupPathIn(id, spec));
  for (const message of changeInForce(cgroup, asked, undo)) warn(message);
}

/** @returns what has no effect */
function changeInForce(cgroup: Cgroup, asked: Resources, undo: DisposableStack): string[] {
  // Also of a container that is just being started, and whether it is paused or not.
  if (!cgroup.exists()) return [];
  try {
    const changed = changeResources(cgroup, asked);
    undo.defer(changed.undo);
    return changed.notes;
  } catch (error) {
    // It has ended meanwhile.
    if (!cgroup.exists()) return [];
    throw inFlags(error);
  }
}
