import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { ContainerOptions, NetworkRequest } from "./options.ts";
import { parseIpAddress } from "../util/ip-address.ts";
import { readIfThere } from "../util/read-if-there.ts";

/** The texts of the files that gocker gives every container in `/etc`. */
export interface EtcFiles {
  readonly hostname: string;
  readonly hosts: string;
  readonly resolvConf: string;
}

/** Where {@link writeEtcFiles} put them: host paths to bind-mount from. */
export interface EtcFilePaths {
  readonly hostname: string;
  readonly hosts: string;
  readonly resolvConf: string;
}

/** What the host's own files say; texts are empty for files that do not exist. */
export interface HostEtc {
  readonly hosts: string;
  /** `/etc/resolv.conf`. */
  readonly resolvConf: string;
  /** systemd-resolved's list of the real servers; empty where it does not run or is not needed. */
  readonly upstreamResolvConf: string;
}

/** In the place of an address: the host's, as the container sees it. */
export const hostGateway = "host-gateway";

/** What {@link buildEtcFiles} decides by. */
export interface EtcFilesInput {
  readonly hostname: string;
  /** Names in /etc/hosts the container in full. */
  readonly domainname?: string | undefined;
  /** `host`: the container shares the host's network and its files; anything else is another network. */
  readonly network: ContainerOptions["network"];
  readonly addHosts: readonly { readonly name: string; readonly address: string }[];
  readonly dns: readonly string[];
  /** In place of the host's search domains; `.` alone for none. */
  readonly dnsSearch?: readonly string[] | undefined;
  /** In place of the host's options of the resolver. */
  readonly dnsOptions?: readonly string[] | undefined;
  /** The container's own addresses in a network of its own. */
  readonly addresses?: readonly string[];
  /** What {@link hostGateway} means; absent where that is not known yet. */
  readonly gateway?: string | undefined;
  /** Names are asked of gocker, which knows those of other containers: see {@link hasNameServer}. */
  readonly hasNameServer?: boolean;
}

/** Where gocker answers in the container's own network, as Docker does. */
export const nameServerAddress = "127.0.0.11";

/** Names are asked of gocker in every network but the default one, as with Docker: there containers have none. */
export function hasNameServer(networks: readonly NetworkRequest[] = []): boolean {
  return networks.some(({ network }) => network !== "bridge" && network !== "default");
}

/** Docker's servers for a container when the host names none that can be reached from inside. */
const publicServers = ["8.8.8.8", "8.8.4.4"];

const localhostLines = `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
`;

/** The three files by Docker's rules. */
export function buildEtcFiles(input: EtcFilesInput, host: HostEtc): EtcFiles {
  return {
    hostname: `${input.hostname}\n`,
    hosts: buildHosts(input, host),
    resolvConf: buildResolvConf(input, host),
  };
}

/**
 * `/etc/hosts`. On the host's network it is the host's own, as Docker has it, unless hosts are to be added. There a
 * container's name that is not in it gets a loopback address of its own (as Debian does for hosts), because programs such
 * as sudo look up their own name.
 */
function buildHosts(input: EtcFilesInput, host: HostEtc): string {
  const shared = input.network === "host";
  const base = shared && input.addHosts.length === 0 && host.hosts !== "" ? endLine(host.hosts) : localhostLines;
  const own = shared ? (hasName(base, input.hostname) ? [] : ["127.0.1.1"]) : (input.addresses ?? []);
  const gateway = shared ? "127.0.0.1" : input.gateway;
  const added = input.addHosts.flatMap(({ name, address }) => {
    const actual = address === hostGateway ? gateway : address;
    return actual === undefined ? [] : [`${actual}\t${name}\n`];
  });
  return base + added.join("") + own.map((address) => `${address}\t${ownNames(input)}\n`).join("");
}

/** Whether a text of the form of /etc/hosts has a name. hosts(5) */
function hasName(hosts: string, name: string): boolean {
  return hosts.split("\n").some((line) => line.replace(/#.*/, "").trim().split(/\s+/).slice(1).includes(name));
}

/** The host name, and its first part when it has a domain. */
function ownNames({ hostname, domainname }: EtcFilesInput): string {
  if (domainname !== undefined) return `${hostname}.${domainname} ${hostname}`;
  const [first] = hostname.split(".", 1);
  return first === hostname ? hostname : `${hostname} ${first}`;
}

/**
 * `/etc/resolv.conf`. On the host's network it is the host's own word for word. Elsewhere the host's loopback servers
 * cannot be reached: systemd-resolved's real servers stand in for its stub, the others are left out, and public servers
 * step in when nothing is left. `dns`, `dnsSearch` and `dnsOptions` replace the host's servers, search domains and
 * options, each for itself.
 */
function buildResolvConf(input: EtcFilesInput, host: HostEtc): string {
  const { dns, dnsSearch = [], dnsOptions = [] } = input;
  if (input.hasNameServer === true) return ownResolvConf(input, host);
  const isOwn = dns.length + dnsSearch.length + dnsOptions.length > 0;
  if (input.network === "host" && !isOwn) return host.resolvConf;
  const isUpstream = dns.length === 0 && input.network !== "host" && host.upstreamResolvConf !== "";
  const source = isUpstream ? host.upstreamResolvConf : host.resolvConf;
  return [
    ...serversOf(input, source).map((server) => `nameserver ${server}`),
    ...(dnsSearch.length > 0 ? searchLines(dnsSearch) : linesOf(source, /^[ \t]*(search|domain)\b/)),
    ...(dnsOptions.length > 0 ? [`options ${dnsOptions.join(" ")}`] : linesOf(source, /^[ \t]*options\b/)),
    ...linesOf(source, /^[ \t]*sortlist\b/),
    "",
  ].join("\n");
}

/**
 * Asks gocker, who asks the servers that would stand here otherwise. Names with a dot are asked for as they are before a
 * domain is added, and those without one too, which `ndots:0` says: they are other containers' mostly.
 */
function ownResolvConf({ dnsSearch = [], dnsOptions = [] }: EtcFilesInput, host: HostEtc): string {
  const hosts = linesOf(host.resolvConf, /^[ \t]*options\b/).flatMap((line) => line.trim().split(/\s+/).slice(1));
  const given = dnsOptions.length > 0 ? dnsOptions : hosts;
  const options = given.some((option) => option.startsWith("ndots:")) ? given : [...given, "ndots:0"];
  return [
    `nameserver ${nameServerAddress}`,
    ...(dnsSearch.length > 0 ? searchLines(dnsSearch) : linesOf(host.resolvConf, /^[ \t]*(search|domain)\b/)),
    `options ${options.join(" ")}`,
    "",
  ].join("\n");
}

/** The servers that names are asked of which no container has. */
export function upstreamServers(dns: readonly string[], host: HostEtc): readonly string[] {
  return dns.length > 0 ? dns : nameservers(host.resolvConf);
}

function serversOf({ dns, network }: EtcFilesInput, source: string): readonly string[] {
  if (dns.length > 0) return dns;
  const servers = nameservers(source);
  if (network === "host") return servers;
  const reachable = servers.filter((address) => !isLoopback(address) && !address.includes("%"));
  return reachable.length > 0 ? reachable : publicServers;
}

function searchLines(domains: readonly string[]): string[] {
  return domains.length === 1 && domains[0] === "." ? [] : [`search ${domains.join(" ")}`];
}

function linesOf(resolvConf: string, pattern: RegExp): string[] {
  return resolvConf.split("\n").filter((line) => pattern.test(line));
}

/** The servers that a resolv.conf names, in order; as to a resolver, what is no address is none. resolv.conf(5) */
function nameservers(resolvConf: string): string[] {
  const named = Array.from(resolvConf.matchAll(/^[ \t]*nameserver[ \t]+(\S+)/gm), (match) => match[1] as string);
  return named.filter((text) => parseIpAddress(text.replace(/(:.*)%.+$/, "$1")) !== undefined);
}

/** Loopback and "this host" addresses: from another network namespace they mean that namespace. */
function isLoopback(address: string): boolean {
  const mapped = address.toLowerCase().replace(/^::ffff:(?=\d+\.)/, "");
  return mapped.startsWith("127.") || mapped === "0.0.0.0" || /^[0:]*:[0:]*:0*1?$/.test(mapped);
}

function endLine(text: string): string {
  return text.endsWith("\n") ? text : `${text}\n`;
}

/** Reads what the host has. A file that is missing counts as empty, as the resolver takes it. */
export function readHostEtc(): HostEtc {
  const resolvConf = readIfThere("/etc/resolv.conf") ?? "";
  const stub = nameservers(resolvConf);
  const usesResolved = stub.length > 0 && stub.every((address) => address === "127.0.0.53" || address === "127.0.0.54");
  return {
    hosts: readIfThere("/etc/hosts") ?? "",
    resolvConf,
    upstreamResolvConf: (usesResolved ? readIfThere("/run/systemd/resolve/resolv.conf") : undefined) ?? "",
  };
}

/**
 * Writes those files anew that depend on the networks of a container which is about to be started, in their places: they
 * may be mounted already.
 */
export function refreshEtcFiles(directory: string, input: EtcFilesInput): void {
  const { hosts, resolvConf } = buildEtcFiles(input, readHostEtc());
  write(join(directory, "hosts"), hosts);
  write(join(directory, "resolv.conf"), resolvConf);
}

/** Writes those that are as they were made before as they are made now: what a container has changed is its own. */
export function exchangeEtcFiles(directory: string, before: EtcFiles, after: EtcFiles): void {
  for (const [name, was, is] of [
    ["hosts", before.hosts, after.hosts],
    ["resolv.conf", before.resolvConf, after.resolvConf],
  ] as const) {
    const path = join(directory, name);
    if (was !== is && readIfThere(path) === was) write(path, is);
  }
}

/** Writes the files into a container's directory on the host, readable by every user of the container. */
export function writeEtcFiles(directory: string, files: EtcFiles): EtcFilePaths {
  return {
    hostname: write(join(directory, "hostname"), files.hostname),
    hosts: write(join(directory, "hosts"), files.hosts),
    resolvConf: write(join(directory, "resolv.conf"), files.resolvConf),
  };
}

function write(path: string, text: string): string {
  writeFileSync(path, text);
  // The mode of writeFile would be narrowed by the umask.
  chmodSync(path, 0o644);
  return path;
}
