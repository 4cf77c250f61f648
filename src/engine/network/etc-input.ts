import { type EtcFilesInput, hasNameServer } from "../../container/etc-files.ts";
import type { ContainerRecord } from "../../container/record.ts";
import type { Endpoint } from "../../network/endpoints.ts";
import type { RuntimeSpec } from "../../oci/runtime-spec.ts";

/** What the files in /etc of a container in gocker's networks are made by. */
export function etcFilesInput(
  { networks, options = {} }: ContainerRecord,
  { hostname = "", domainname }: Pick<RuntimeSpec, "hostname" | "domainname">,
  endpoint: Endpoint | undefined,
): EtcFilesInput {
  const attachments = endpoint?.attachments ?? [];
  return {
    hostname,
    domainname,
    network: "connected",
    addHosts: options.addHosts ?? [],
    dns: options.dns ?? [],
    dnsSearch: options.dnsSearch,
    dnsOptions: options.dnsOptions,
    addresses: attachments.flatMap(({ addresses }) => addresses.map(withoutLength)),
    gateway: attachments.flatMap(({ gateways }) => gateways)[0],
    hasNameServer: hasNameServer(networks),
  };
}

function withoutLength(address: string): string {
  return address.split("/", 1)[0] ?? address;
}
