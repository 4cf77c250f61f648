import { hasNameServer, readHostEtc, upstreamServers } from "../../container/etc-files.ts";
import type { Service } from "../../container/monitor/service.ts";
import type { MonitorDescriptors } from "../../container/monitor/state.ts";
import type { ContainerRecord } from "../../container/record.ts";
import { OwnedFd } from "../../linux/fd.ts";
import { NameServer } from "../../network/dns/server.ts";
import { NameSockets } from "../../network/name-sockets.ts";
import { ContainerNames } from "../../network/names.ts";
import { NetworkStore } from "../../network/networks.ts";
import { PortProxy } from "../../network/port-proxy.ts";
import { hasSocket } from "../../network/ports.ts";
import { openNetworkOf } from "./running.ts";

/** What a monitor does for a container with the sockets that `joinNetworks` has opened. */
export function openServices(
  directories: { readonly root: string; readonly state: string },
  record: ContainerRecord,
  { names, ports }: Pick<MonitorDescriptors, "names" | "ports">,
): Service[] {
  const store = new NetworkStore(directories.root, directories.state);
  const services: Service[] = [];
  const [udp, tcp] = names ?? [];
  if (udp !== undefined && tcp !== undefined) {
    const lookup = new ContainerNames(store, directories.state, record.id);
    services.push(
      new NameServer({
        udp: new OwnedFd(udp),
        tcp: new OwnedFd(tcp),
        lookup,
        // By questions for names much can be told to the outside (CVE-2024-29018).
        upstream: () => (lookup.isIsolated ? [] : upstreamServers(record.options?.dns ?? [], readHostEtc())),
        // Who has asked is told that it failed, and asks again.
        onError: () => {},
      }),
    );
  }
  if (ports !== undefined) {
    const published = () => (store.endpoints.read(record.id)?.publications ?? []).filter(hasSocket);
    services.push(new PortProxy(published, ports));
  }
  return services;
}

/**
 * Opens where a container that runs asks for names, when it is in a network with names by now and was not before.
 * @returns the sockets' numbers, which are the caller's to close
 */
export function openFurtherSockets(
  record: ContainerRecord,
  { names }: Pick<MonitorDescriptors, "names">,
): Pick<MonitorDescriptors, "names"> {
  if (names !== undefined || !hasNameServer(record.networks)) return {};
  using network = openNetworkOf(record);
  if (network === undefined) return {};
  using opened = NameSockets.open(network.namespace);
  opened.lead();
  return { names: opened.sockets.map((socket) => socket.release()) };
}
