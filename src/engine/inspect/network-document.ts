import { Dictionary, NilDictionary } from "../../util/document.ts";
import type { NetworkSummary } from "../network/summary.ts";

/** What `inspect` tells of a network: the shape and names of Docker's API (GET /networks/NAME of version 1.50). */
export function networkDocument(network: NetworkSummary) {
  const { name, id, created, driver, subnets, internal, options, labels, connected } = network;
  const members = connected.map(({ container, name: member, attachment }) => {
    const address = (isIpv6: boolean) => attachment?.addresses.find((text) => text.includes(":") === isIpv6) ?? "";
    const document = {
      Name: member,
      EndpointID: container,
      MacAddress: attachment?.hardwareAddress ?? "",
      IPv4Address: address(false),
      IPv6Address: address(true),
    };
    return [container, document] as const;
  });
  return {
    Name: name,
    Id: id,
    Created: created,
    Scope: "local",
    Driver: driver,
    EnableIPv4: subnets.some(({ subnet }) => !subnet.includes(":")),
    EnableIPv6: subnets.some(({ subnet }) => subnet.includes(":")),
    IPAM: {
      Driver: "default",
      Options: new NilDictionary(),
      Config: subnets.map(({ subnet, gateway, ipRange, auxiliary }) => ({
        Subnet: subnet,
        ...(ipRange !== undefined && { IPRange: ipRange }),
        ...(gateway !== undefined && { Gateway: gateway }),
        ...(auxiliary !== undefined && { AuxiliaryAddresses: Dictionary.of(auxiliary) }),
      })),
    },
    Internal: internal,
    Attachable: false,
    Ingress: false,
    ConfigFrom: { Network: "" },
    ConfigOnly: false,
    Containers: new Dictionary(members, undefined),
    Options: Dictionary.of(options),
    Labels: Dictionary.of(labels),
  };
}
