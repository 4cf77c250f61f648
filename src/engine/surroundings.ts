import { existsSync } from "node:fs";
import { openJoined } from "../container/open-joined.ts";
import type { OpenedSurroundings } from "../container/joined-namespaces.ts";
import type { ContainerRecord } from "../container/record.ts";
import type { ContainerStore } from "../container/records.ts";
import type { RuntimeSpec } from "../oci/runtime-spec.ts";
import type { NamespaceDescriptor } from "../runtime/plan/namespaces.ts";
import type { Attachment } from "../network/endpoints.ts";
import { endpointPath } from "../network/endpoint-path.ts";
import type { EngineContext } from "./context.ts";

/** What a container is to be started in: namespaces and mounts that are there before it. Disposed of when it is launched. */
export interface Surroundings extends OpenedSurroundings, AsyncDisposable {
  /** What it has of gocker's networks. */
  readonly attachments?: readonly Attachment[] | undefined;
}

/** What {@link openSurroundings} goes by. */
export interface SurroundingsInput {
  readonly context: Pick<EngineContext, "root" | "state">;
  readonly containers: ContainerStore;
  readonly record: ContainerRecord;
  readonly spec: RuntimeSpec;
  /** Told of what changes for the whole host. */
  readonly warn: (message: string) => void;
}

/**
 * Opens what a container has of other containers, and connects it to its networks. That lasts until
 * {@link leaveNetworks}, also where this fails.
 * @returns undefined for a container that has neither
 * @throws as `joinNamespaces` and `connectContainer`
 */
export async function openSurroundings(input: SurroundingsInput): Promise<Surroundings | undefined> {
  const { record, spec, containers } = input;
  await using cleanup = new AsyncDisposableStack();
  const joined = cleanup.use(await openJoined(spec, containers));
  if ((record.networks ?? []).length === 0) {
    const owned = cleanup.move();
    return joined && { ...joined, [Symbol.asyncDispose]: () => owned.disposeAsync() };
  }
  const { joinNetworks } = await import("./network/join.ts");
  const networks = cleanup.use(await joinNetworks(input));
  const { namespace, sockets, attachments } = networks;
  const network: NamespaceDescriptor = { descriptor: namespace.number, isNew: true };
  const owned = cleanup.move();
  return {
    openedNamespaces: new Map([...(joined?.openedNamespaces ?? []), ["network", network]]),
    prepared: joined?.prepared,
    sockets,
    attachments,
    complete: () => networks.complete(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/**
 * Gives back what a container has of its networks, for the holder of its lock, when it does not run any more. To do it
 * again is no error, and costs nearly nothing for one that is in none.
 * @throws SystemCallError
 */
export async function leaveNetworks(context: Pick<EngineContext, "root" | "state">, id: string): Promise<void> {
  if (!existsSync(endpointPath(context.state, id))) return;
  const { leave } = await import("./network/join.ts");
  await leave(context, id);
}
