import { errnos } from "../linux/errno.ts";
import type { OwnedFd } from "../linux/fd.ts";
import { bindSocket, listenAt, localAddress, openInternetSocket } from "../linux/internet-socket.ts";
import { fileLimit } from "../linux/limits.ts";
import { ConflictError, SystemCallError, UsageError } from "../util/errors.ts";
import { formatIpAddress, type IpAddress, parseIpAddress } from "../util/ip-address.ts";
import type { PortProtocol, Publication } from "./publication.ts";
import { TakenPorts } from "./taken-ports.ts";

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

/** Ports that programs have for a while, and not by name: those of SCTP that nobody asks for by number. RFC 6335, 6 */
const dynamicPorts = { first: 49_152, last: 65_535 };

/**
 * How many sockets a container's monitor can have: it is told of them in one word, of at most 128 KiB. execve(2),
 * MAX_ARG_STRLEN
 */
const mostSockets = 20_000;

/** As many files a process has to have open for other things than ports, if it may have twice as many. */
const otherFiles = 256;

/**
 * Takes ports of the host for a container: by sockets, as the kernel knows best who else has them.
 * @param addresses the container's
 * @param taken those of SCTP that others have: there are no sockets to tell
 * @throws ConflictError a port is in use, or asked for twice; UsageError the host has no such address, or these are too many
 *   ports; SystemCallError
 */
export function holdPorts(
  requests: readonly PortRequest[],
  addresses: readonly IpAddress[],
  taken: TakenPorts = new TakenPorts(),
): HeldPorts {
  using cleanup = new DisposableStack();
  const publications: Publication[] = [];
  const sockets: OwnedFd[] = [];
  const own = new TakenPorts();
  const most = Math.min(mostSockets, affordableSockets());
  try {
    for (const request of requests) {
      for (const { publication, socket } of holdPort(request, { addresses, own, taken })) {
        publications.push(publication);
        own.add(publication);
        if (socket !== undefined) sockets.push(cleanup.use(socket));
      }
      if (sockets.length > most) throw tooMany(requests, most);
    }
  } catch (error) {
    if (error instanceof SystemCallError && error.errno === errnos.EMFILE)
      throw tooMany(requests, sockets.length, error);
    throw error;
  }
  const owned = cleanup.move();
  return { publications, sockets, [Symbol.dispose]: () => owned.dispose() };
}

/** How many sockets this process may have for ports. */
function affordableSockets(): number {
  const limit = fileLimit();
  return limit - Math.min(otherFiles, Math.ceil(limit / 2));
}

interface HeldPort {
  readonly publication: Publication;
  readonly socket: OwnedFd | undefined;
}

interface Surroundings {
  readonly addresses: readonly IpAddress[];
  /** Ports that the container itself has by now. */
  readonly own: TakenPorts;
  readonly taken: TakenPorts;
}

function holdPort(request: PortRequest, surroundings: Surroundings): HeldPort[] {
  for (const port of candidates(request)) {
    const held = tryHold(request, port, surroundings);
    if (held !== undefined) return held;
  }
  throw isAskedTwice(request, surroundings.own) ? askedTwice(request) : inUse(request);
}

/** The host's ports that are tried; 0 for one of the kernel's choice. */
function* candidates({ protocol, hostPorts }: PortRequest): Generator<number> {
  if (hostPorts === undefined && protocol !== "sctp") {
    for (let count = 0; count < mostAttempts; count++) yield 0;
    return;
  }
  const { first, last } = hostPorts ?? dynamicPorts;
  for (let port = first; port <= last; port++) yield port;
}

/** @returns undefined when somebody has the port */
function tryHold(
  request: PortRequest,
  wanted: number,
  { addresses, own, taken }: Surroundings,
): HeldPort[] | undefined {
  const { protocol, containerPort } = request;
  using cleanup = new DisposableStack();
  const held: HeldPort[] = [];
  let port = wanted;
  for (const address of addressesOf(request)) {
    const local = parseIpAddress(address);
    const target = local === undefined ? undefined : targetOf(local, addresses);
    if (local === undefined || target === undefined) continue;
    const place = { protocol, hostAddress: address, hostPort: port };
    if (protocol === "sctp" && (own.has(place) || taken.has(place))) return undefined;
    const bound = bind(request, { address: local, port });
    if (bound === "taken") return undefined;
    // A host without IPv6 has nothing of it to be reached by.
    if (bound === "absent") continue;
    const { socket } = bound;
    if (socket !== undefined) cleanup.use(socket);
    ({ port } = bound);
    const publication = { ...place, hostPort: port, containerAddress: formatIpAddress(target), containerPort };
    held.push({ publication, socket });
  }
  cleanup.move();
  return held;
}

const everywhere = ["0.0.0.0", "::"];

function addressesOf({ hostAddress }: PortRequest): readonly string[] {
  return hostAddress === undefined ? everywhere : [hostAddress];
}

/** The container's address of the same family; the other one's, to which gocker itself passes on what comes. */
function targetOf(local: IpAddress, addresses: readonly IpAddress[]): IpAddress | undefined {
  return addresses.find(({ family }) => family === local.family) ?? addresses[0];
}

function bind(
  { protocol, hostAddress }: PortRequest,
  at: { readonly address: IpAddress; readonly port: number },
): { readonly socket: OwnedFd | undefined; readonly port: number } | "taken" | "absent" {
  using cleanup = new DisposableStack();
  try {
    const socket = cleanup.use(openInternetSocket(at.address.family, protocol === "tcp" ? "stream" : "datagram"));
    if (protocol === "sctp") {
      // Whether the host has the address any socket tells.
      bindSocket(socket, { ...at, port: 0 });
      return { socket: undefined, port: at.port };
    }
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

function isAskedTwice(request: PortRequest, own: TakenPorts): boolean {
  const { protocol, hostPorts } = request;
  if (hostPorts === undefined) return false;
  for (let hostPort = hostPorts.first; hostPort <= hostPorts.last; hostPort++) {
    if (!addressesOf(request).some((hostAddress) => own.has({ protocol, hostAddress, hostPort }))) return false;
  }
  return true;
}

function askedTwice(request: PortRequest): ConflictError {
  return new ConflictError(`${portsOf(request)} asked for twice by the container itself`, {
    hint: "choose another one with -p for each of its ports, or none (-p 80) for any that is free",
  });
}

function inUse(request: PortRequest): ConflictError {
  const { protocol, hostPorts } = request;
  if (hostPorts === undefined) return new ConflictError(`the host has no free port of ${protocol} left`);
  const whose = protocol === "sctp" ? "`gocker ps` shows whose it is" : "`ss -lntup` shows who has it";
  return new ConflictError(`${portsOf(request)} in use already${whereOf(request)}`, {
    hint: `choose another one with -p, or none (-p 80) for any that is free; ${whose}`,
  });
}

function portsOf({ protocol, hostPorts }: PortRequest): string {
  const { first, last } = hostPorts ?? dynamicPorts;
  return first === last
    ? `port ${first}/${protocol} of the host is`
    : `all ports ${first}-${last}/${protocol} of the host are`;
}

function whereOf({ hostAddress }: PortRequest): string {
  return hostAddress === undefined ? "" : ` at ${hostAddress}`;
}

/** @param most sockets, of which a port that is published in both families has two */
function tooMany({ length }: readonly PortRequest[], most: number, cause?: SystemCallError): UsageError {
  const limit = most < mostSockets ? ", or raise the limit of open files (ulimit -Hn)" : "";
  return new UsageError(`${length} ports of the host take more sockets than a container can have here (${most})`, {
    hint: `publish fewer ports, or at one address, which takes one socket each instead of two${limit}`,
    cause,
  });
}
