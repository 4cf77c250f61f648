import type { PortRequest } from "../../container/options.ts";
import type { Attachment } from "../../network/endpoints.ts";
import { leadsSomewhere, type Publication } from "../../network/publication.ts";
import { Dictionary, listOrNil, nilList } from "../../util/document.ts";
import type { ContainerFacts } from "./facts.ts";

/** What a container has of networks: `.NetworkSettings`. Docker shows the default network's addresses a second time. */
export function networkSettings({ record, endpoint }: ContainerFacts) {
  const attachments = endpoint?.attachments ?? [];
  const usual = attachments.find(({ network }) => network === "bridge");
  const sandbox = endpoint === undefined ? "" : record.id;
  return {
    Bridge: "",
    SandboxID: sandbox,
    SandboxKey: "",
    Ports: publishedPorts(
      (endpoint?.publications ?? []).filter(leadsSomewhere),
      record.exposedPorts ?? [],
      endpoint !== undefined,
    ),
    HairpinMode: false,
    LinkLocalIPv6Address: "",
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: nilList,
    SecondaryIPv6Addresses: nilList,
    ...endpointSettings(usual, record.id),
    Networks: new Dictionary(networksOf(record, attachments), null),
  };
}

/** Of one that does not run, the networks that it wants to be in. */
function networksOf({ id, name, networks = [] }: ContainerFacts["record"], attachments: readonly Attachment[]) {
  return networks.map(({ network, aliases = [], ipv4, ipv6, gatewayPriority = 0 }) => {
    const attachment = attachments.find((one) => one.network === network);
    const wishes = ipv4 === undefined && ipv6 === undefined ? null : ipamWishes(ipv4, ipv6);
    const names = network === "bridge" ? [] : [...new Set([name, ...aliases, id.slice(0, 12)])];
    const document = {
      IPAMConfig: wishes,
      Links: nilList,
      Aliases: listOrNil(aliases),
      DriverOpts: null,
      GwPriority: gatewayPriority,
      NetworkID: attachment?.networkId ?? "",
      ...endpointSettings(attachment, id),
      DNSNames: listOrNil(names),
    };
    return [network, document] as const;
  });
}

function ipamWishes(ipv4: string | undefined, ipv6: string | undefined) {
  return { ...(ipv4 !== undefined && { IPv4Address: ipv4 }), ...(ipv6 !== undefined && { IPv6Address: ipv6 }) };
}

function endpointSettings(attachment: Attachment | undefined, id: string) {
  const [address, length] = part(attachment?.addresses, false).split("/");
  const [address6, length6] = part(attachment?.addresses, true).split("/");
  return {
    EndpointID: attachment === undefined ? "" : id,
    Gateway: part(attachment?.gateways, false),
    IPAddress: address ?? "",
    MacAddress: attachment?.hardwareAddress ?? "",
    IPPrefixLen: Number(length ?? 0),
    IPv6Gateway: part(attachment?.gateways, true),
    GlobalIPv6Address: address6 ?? "",
    GlobalIPv6PrefixLen: Number(length6 ?? 0),
  };
}

/** Of one family. */
function part(texts: readonly string[] = [], isIpv6: boolean): string {
  return texts.find((text) => text.includes(":") === isIpv6) ?? "";
}

interface Binding {
  readonly HostIp: string;
  readonly HostPort: string;
}

/** Ports that are known and not published are there too, with nothing. */
function publishedPorts(
  publications: readonly Publication[],
  exposed: readonly string[],
  runs: boolean,
): Dictionary<readonly Binding[] | null> {
  const ports = new Dictionary<readonly Binding[] | null>([], undefined);
  if (!runs) return ports;
  for (const port of exposed) ports.set(port.includes("/") ? port : `${port}/tcp`, null);
  for (const { hostAddress, hostPort, containerPort, protocol } of publications) {
    const key = `${containerPort}/${protocol}`;
    ports.set(key, [...(ports.get(key) ?? []), { HostIp: hostAddress, HostPort: String(hostPort) }]);
  }
  return ports;
}

/** What was asked for: `.HostConfig.PortBindings`. */
export function portBindings(requests: readonly PortRequest[]): Dictionary<readonly Binding[]> {
  const bindings = new Dictionary<readonly Binding[]>([], undefined);
  for (const { protocol, containerPort, hostAddress = "", hostPorts } of requests) {
    const key = `${containerPort}/${protocol}`;
    const range = hostPorts === undefined ? "" : rangeText(hostPorts);
    bindings.set(key, [...(bindings.get(key) ?? []), { HostIp: hostAddress, HostPort: range }]);
  }
  return bindings;
}

function rangeText({ first, last }: { readonly first: number; readonly last: number }): string {
  return first === last ? String(first) : `${first}-${last}`;
}
