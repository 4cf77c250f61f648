import { errnos } from "../linux/errno.ts";
import type { OwnedFd } from "../linux/fd.ts";
import { bindSocket, listenAt, localAddress, openInternetSocket } from "../linux/internet-socket.ts";
import { ConflictError, SystemCallError, UsageError } from "../util/errors.ts";
import { formatIpAddress, type IpAddress, parseIpAddress } from "../util/ip-address.ts";
import type { PortProtocol, Publication } from "./publication.ts";

/** A port of a container that is to be reachable on the host. */
export interface PortRequest {
  readonly protocol: PortProtocol;
  /** Absent: all addresses of the host. */
  readonly hostAddress?: string;
  /** One of these; absent: any that is free. */
  readonly hostPorts?: { readonly first: number; readonly last: number };
  readonly containerPort: number;
}

/** The host's ports that a container has, so that nobody else gets them. */
export interface HeldPorts extends Disposable {
  readonly publications: readonly Publication[];
  /** Of TCP (listening) and UDP, one for each publication of these in their order: see {@link hasSocket}. */
  readonly sockets: readonly OwnedFd[];
}

/** Whether the host's side of a publication is held by a socket: kernels without SCTP have none of it. */
export function hasSocket({ protocol }: Pick<Publication, "protocol">): boolean {
  return protocol !== "sctp";
}

/** How many connections may wait for the container's monitor, which may have to wake first. listen(2) */
const mostWaiting = 4096;

/** How many free ports are tried until one is free in both families. */
const mostAttempts = 16;

/**
 * Takes ports of the host for a container: by sockets, as the kernel knows best who else has them.
 * @param addresses the container's
 * @throws ConflictError a port is in use; UsageError the host has no such address; SystemCallError
 */
export function holdPorts(requests: readonly PortRequest[], addresses: readonly IpAddress[]): HeldPorts {
  using cleanup = new DisposableStack();
  const publications: Publication[] = [];
  const sockets: OwnedFd[] = [];
  for (const request of requests) {
    for (const { publication, socket } of holdPort(request, addresses)) {
      publications.push(publication);
      if (socket !== undefined) sockets.push(cleanup.use(socket));
    }
  }
  const owned = cleanup.move();
  return { publications, sockets, [Symbol.dispose]: () => owned.dispose() };
}

interface HeldPort {
  readonly publication: Publication;
  readonly socket: OwnedFd | undefined;
}

function holdPort(request: PortRequest, addresses: readonly IpAddress[]): HeldPort[] {
  const { hostPorts } = request;
  const candidates =
    hostPorts === undefined
      ? Array<number>(mostAttempts).fill(0)
      : Array.from({ length: hostPorts.last - hostPorts.first + 1 }, (_, index) => hostPorts.first + index);
  for (const port of candidates) {
    const held = tryHold(request, port, addresses);
    if (held !== undefined) return held;
  }
  throw inUse(request);
}

/** @returns undefined when somebody has the port */
function tryHold(request: PortRequest, wanted: number, addresses: readonly IpAddress[]): HeldPort[] | undefined {
  const { protocol, hostAddress, containerPort } = request;
  using cleanup = new DisposableStack();
  const held: HeldPort[] = [];
  let port = wanted;
  for (const address of hostAddress === undefined ? everywhere : [hostAddress]) {
    const local = parseIpAddress(address);
    const target = local === undefined ? undefined : targetOf(local, addresses);
    if (local === undefined || target === undefined) continue;
    const bound = protocol === "sctp" ? { port } : bind(request, { address: local, port });
    if (bound === "taken") return undefined;
    // A host without IPv6 has nothing of it to be reached by.
    if (bound === "absent") continue;
    if ("socket" in bound) cleanup.use(bound.socket);
    port = bound.port;
    const publication = {
      protocol,
      hostAddress: address,
      hostPort: port,
      containerAddress: formatIpAddress(target),
      containerPort,
    };
    held.push({ publication, socket: "socket" in bound ? bound.socket : undefined });
  }
  cleanup.move();
  return held;
}

const everywhere = ["0.0.0.0", "::"];

/** The container's address of the same family; the other one's, to which gocker itself passes on what comes. */
function targetOf(local: IpAddress, addresses: readonly IpAddress[]): IpAddress | undefined {
  return addresses.find(({ family }) => family === local.family) ?? addresses[0];
}

function bind(
  { protocol, hostAddress }: PortRequest,
  at: { readonly address: IpAddress; readonly port: number },
): { readonly socket: OwnedFd; readonly port: number } | "taken" | "absent" {
  using cleanup = new DisposableStack();
  try {
    const socket = cleanup.use(openInternetSocket(at.address.family, protocol === "udp" ? "datagram" : "stream"));
    if (protocol === "udp") bindSocket(socket, at);
    else listenAt(socket, at, mostWaiting);
    const { port } = localAddress(socket);
    cleanup.move();
    return { socket, port };
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    if (error.errno === errnos.EADDRINUSE) return "taken";
    const isMissing = error.errno === errnos.EADDRNOTAVAIL || error.errno === errnos.EAFNOSUPPORT;
    if (!isMissing) throw error;
    if (hostAddress === undefined) return "absent";
    throw new UsageError(`the host has no address ${hostAddress} at which a port could be published`, { cause: error });
  }
}

function inUse({ protocol, hostAddress, hostPorts }: PortRequest): ConflictError {
  if (hostPorts === undefined) return new ConflictError(`the host has no free port of ${protocol} left`);
  const { first, last } = hostPorts;
  const range =
    first === last
      ? `port ${first}/${protocol} of the host is`
      : `all ports ${first}-${last}/${protocol} of the host are`;
  const where = hostAddress === undefined ? "" : ` at ${hostAddress}`;
  return new ConflictError(`${range} in use already${where}`, {
    hint: "choose another one with -p, or none (-p 80) for any that is free; `ss -lntup` shows who has it",
  });
}
