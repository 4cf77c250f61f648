import { buildEtcFiles, exchangeEtcFiles, hasNameServer, readHostEtc } from "../../container/etc-files.ts";
import { hasMonitor } from "../../container/monitor/presence.ts";
import { connectToMonitor } from "../../container/monitor/socket.ts";
import type { ContainerRecord } from "../../container/record.ts";
import { readStoredSpec } from "../../container/stored-spec.ts";
import type { Endpoint } from "../../network/endpoints.ts";
import type { EngineContext } from "../context.ts";
import { untilClosed } from "../stop.ts";
import { etcFilesInput } from "./etc-input.ts";

/** A container, and what it has of networks while it runs. */
export interface ConnectedContainer {
  readonly record: ContainerRecord;
  readonly endpoint: Endpoint | undefined;
}

/**
 * Has a container that runs know of networks that it has come into, or left: its monitor goes by them, and then its files
 * in /etc, as far as they are as gocker has written them.
 * @param directory the container's
 */
export async function announceNetworks(
  context: Pick<EngineContext, "root" | "state" | "warn">,
  directory: string,
  before: ConnectedContainer,
  after: ConnectedContainer,
): Promise<void> {
  const { record, endpoint } = after;
  // It has ended meanwhile.
  if (endpoint === undefined) return;
  const isFirstWithNames = hasNameServer(record.networks) && !hasNameServer(before.record.networks);
  let asksGocker = hasNameServer(before.record.networks) || hasNameServer(record.networks);
  if (isFirstWithNames || endpoint.publications.length > 0) {
    using monitor = connectToMonitor(context.state, record.id, { output: false, input: false, networks: true });
    if (monitor !== undefined) await untilClosed(monitor);
    else if (isFirstWithNames && hasMonitor(record.state)) {
      asksGocker = false;
      context.warn?.(`container ${record.name} knows no names there: its monitor cannot be reached`);
    } else if (isFirstWithNames) {
      const { launchNameProcess } = await import("./name-process.ts");
      await launchNameProcess(context, record);
    }
  }
  const spec = readStoredSpec(record.id, directory);
  const host = readHostEtc();
  const filesOf = (container: ConnectedContainer, hasServer: boolean) =>
    buildEtcFiles({ ...etcFilesInput(container.record, spec, container.endpoint), hasNameServer: hasServer }, host);
  exchangeEtcFiles(directory, filesOf(before, hasNameServer(before.record.networks)), filesOf(after, asksGocker));
}
