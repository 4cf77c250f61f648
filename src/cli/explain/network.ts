import { byPriority } from "../../network/endpoints.ts";
import type { ExplainedAttachment } from "../../engine/run-ui.ts";

/** What was asked of the kernel, in words, and how. */
export interface ExplainedDeed {
  readonly label: string;
  readonly call: string;
}

/**
 * How a container's network was made before its first process, which then joins it: by requests of netlink, which a plan
 * cannot read the answers of.
 */
export function networkDeeds(attachments: readonly ExplainedAttachment[]): ExplainedDeed[] {
  const deeds: ExplainedDeed[] = [
    { label: "Make a network that nothing is in but a loopback", call: "unshare(CLONE_NEWNET)" },
    { label: "Bring up the loopback, 127.0.0.1", call: request("RTM_NEWLINK", "lo, IFF_UP") },
  ];
  for (const { device, port, network, hardwareAddress, addresses } of attachments) {
    deeds.push(
      port === undefined
        ? {
            label: `Make ${device} in there, with an address of its own in the network of the host's device (${network})`,
            call: request("RTM_NEWLINK", `macvlan, ${device}, ${hardwareAddress}`),
          }
        : {
            label: `Make two devices: ${device} in there, and what comes out of it at a port of the bridge of network ${network}`,
            call: request("RTM_NEWLINK", `veth, ${port} / ${device}, ${hardwareAddress}`),
          },
    );
    for (const address of addresses) {
      deeds.push({
        label: `Give ${device} the address ${address}`,
        call: request("RTM_NEWADDR", `${device}, ${address}`),
      });
    }
    deeds.push({ label: `Bring up ${device}`, call: request("RTM_NEWLINK", `${device}, IFF_UP`) });
  }
  const [gateway] = byPriority(attachments).flatMap(({ gateways }) => gateways);
  if (gateway !== undefined) {
    deeds.push({
      label: `Send everything else to the host, ${gateway}`,
      call: request("RTM_NEWROUTE", `default via ${gateway}`),
    });
  }
  return deeds;
}

function request(type: string, about: string): string {
  return `sendto(netlink, {${type}: ${about}})`;
}
