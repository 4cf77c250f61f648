import type { Attachment } from "../../network/endpoints.ts";
import type { NetworkDriver, NetworkRecord } from "../../network/record.ts";
import type { EngineContext } from "../context.ts";
import { recordEvent } from "../record-event.ts";

type EventContext = Pick<EngineContext, "state"> & Partial<Pick<EngineContext, "debug">>;

/** Tells those who follow `gocker events` of a network that was made or removed, with Docker's attributes. */
export function recordNetworkEvent(
  { state, debug }: EventContext,
  action: "create" | "destroy",
  { id, name, driver }: Pick<NetworkRecord, "id" | "name" | "driver">,
): void {
  recordEvent({ state, debug }, { type: "network", action, id, attributes: { name, type: driver } });
}

/** Tells of a container that came into networks, or left them. */
export function recordMembership(
  { state, debug }: EventContext,
  action: "connect" | "disconnect",
  container: string,
  attachments: readonly Attachment[],
): void {
  for (const { network: name, networkId: id, hardwareAddress, port } of attachments) {
    // It was to come there, and did not.
    if (hardwareAddress === "") continue;
    const type: NetworkDriver = port === undefined ? "macvlan" : "bridge";
    recordEvent({ state, debug }, { type: "network", action, id, attributes: { container, name, type } });
  }
}
