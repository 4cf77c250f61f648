import type { ContainerSummary } from "../../../engine/ps.ts";

/** A port of a container, and where on the host it is; ports that follow each other are one entry. */
interface Entry {
  readonly address: string;
  readonly protocol: string;
  readonly host: number | undefined;
  readonly container: number;
}

/**
 * The ports of a container that runs as Docker's column shows them: `0.0.0.0:8080->80/tcp, [::]:8080->80/tcp, 443/tcp`;
 * those that follow each other, and are the same on the host, as a range.
 */
export function portsText({ exposedPorts, publications, networks, state }: ContainerSummary): string {
  // On the host's network ports are the host's, and on none nobody reaches them.
  const isConnected = networks.some((name) => name !== "host" && name !== "none");
  if (state.status !== "running" || !isConnected) return "";
  const published: Entry[] = publications.map(({ hostAddress, protocol, hostPort, containerPort }) => ({
    address: hostAddress,
    protocol,
    host: hostPort,
    container: containerPort,
  }));
  const isPublished = (port: number, protocol: string) =>
    published.some((one) => one.container === port && one.protocol === protocol);
  const exposed = exposedPorts.flatMap((text): Entry[] => {
    const [port = "", protocol = "tcp"] = text.split("/");
    if (isPublished(Number(port), protocol)) return [];
    return [{ address: "", protocol, host: undefined, container: Number(port) }];
  });
  return rangesOf([...published, ...exposed].toSorted(byPlace))
    .map(rangeText)
    .join(", ");
}

function byPlace(one: Entry, other: Entry): number {
  // Addresses of IPv4 first, and last what is not published.
  const rank = (address: string) => (address === "" ? 2 : Number(address.includes(":")));
  const key = ({ address, protocol }: Entry) => `${rank(address)} ${address} ${protocol}`;
  return key(one).localeCompare(key(other)) || one.container - other.container || (one.host ?? 0) - (other.host ?? 0);
}

/** Entries that go on where the one before ends, together with it. */
function rangesOf(entries: readonly Entry[]): [first: Entry, last: Entry][] {
  const ranges: [Entry, Entry][] = [];
  for (const entry of entries) {
    const range = ranges.at(-1);
    if (range !== undefined && follows(range[1], entry)) range[1] = entry;
    else ranges.push([entry, entry]);
  }
  return ranges;
}

function follows(one: Entry, other: Entry): boolean {
  const isNext = one.address === other.address && one.protocol === other.protocol;
  if (!isNext || other.container !== one.container + 1) return false;
  // Docker shows ports that are others on the host one by one.
  const isAsOnHost = ({ host, container }: Entry) => host === undefined || host === container;
  return isAsOnHost(one) && isAsOnHost(other) && (one.host === undefined) === (other.host === undefined);
}

function rangeText([first, last]: readonly [Entry, Entry]): string {
  const container = span(first.container, last.container);
  if (first.host === undefined || last.host === undefined) return `${container}/${first.protocol}`;
  const address = first.address.includes(":") ? `[${first.address}]` : first.address;
  return `${address}:${span(first.host, last.host)}->${container}/${first.protocol}`;
}

function span(first: number, last: number): string {
  return first === last ? String(first) : `${first}-${last}`;
}
