import { createNetworkOf } from "../../../engine/networks.ts";
import { UsageError } from "../../../util/errors.ts";
import { command } from "../../command.ts";
import { parseKeyValues } from "../../key-values.ts";
import { openEngine } from "../../open-engine.ts";
import { writeOutput } from "../../output/write.ts";

export const networkCreateCommand = command({
  meta: {
    name: "create",
    description: "Make a network",
    usage: "[OPTIONS] NETWORK",
    operands: { minimum: 1, maximum: 1 },
    absent: new Set("attachable config-from config-only ingress ipam-driver ipam-opt ipv4 scope".split(" ")),
    notes: [
      {
        heading: "Drivers",
        text:
          "bridge: containers reach each other and, through the host, everything else. macvlan: each container has an " +
          "address of its own in the network of a device of the host, which --opt parent=DEVICE names.",
      },
      {
        heading: "Options of the drivers",
        text:
          "com.docker.network.bridge.name, com.docker.network.bridge.enable_ip_masquerade, " +
          "com.docker.network.driver.mtu (or mtu), parent, macvlan_mode.",
      },
    ],
    examples: [
      { words: "gocker network create blue", does: "A network with addresses that nobody else uses" },
      {
        words: "gocker network create --subnet 10.5.0.0/16 --ip-range 10.5.1.0/24 office",
        does: "Addresses as you want them",
      },
      { words: "gocker network create --internal backend", does: "One from which there is no way out" },
      { words: "gocker network create -d macvlan -o parent=eth0 --subnet 192.0.2.0/24 lan", does: "In the host's own" },
    ],
  },
  flags: {
    driver: {
      type: "string",
      alias: "d",
      default: "bridge",
      valueHint: "DRIVER",
      description: "How it connects containers: bridge or macvlan",
    },
    subnet: {
      type: "string",
      repeated: true,
      valueHint: "SUBNET",
      description: "Its addresses, such as 10.5.0.0/16; one of IPv4 and one of IPv6",
    },
    gateway: { type: "string", repeated: true, valueHint: "ADDRESS", description: "The host's address in a subnet" },
    "ip-range": {
      type: "string",
      repeated: true,
      valueHint: "SUBNET",
      description: "The part of a subnet from which containers get addresses",
    },
    "aux-address": {
      type: "string",
      repeated: true,
      valueHint: "NAME=ADDRESS",
      description: "An address that no container gets: somebody else there has it",
    },
    ipv6: { type: "boolean", description: "Addresses of IPv6, too" },
    internal: { type: "boolean", description: "There is no way out of it" },
    label: {
      type: "string",
      repeated: true,
      valueHint: "KEY[=VALUE]",
      description: "Note something about the network",
    },
    opt: { type: "string", alias: "o", repeated: true, valueHint: "KEY=VALUE", description: "An option of the driver" },
  },
  async run({ flags, operands, everywhere }) {
    const { driver } = flags;
    if (driver !== "bridge" && driver !== "macvlan") {
      throw new UsageError(`gocker has no network driver ${JSON.stringify(driver)}`, {
        hint: "there are bridge and macvlan; --network host and --network none of run need no network",
      });
    }
    const id = await createNetworkOf(openEngine(everywhere), {
      name: operands[0] ?? "",
      driver,
      subnets: flags.subnet,
      gateways: flags.gateway,
      ipRanges: flags["ip-range"],
      auxiliary: flags["aux-address"],
      ipv6: flags.ipv6 || flags.subnet.some((subnet) => subnet.includes(":")),
      internal: flags.internal,
      labels: parseKeyValues("--label", flags.label),
      options: parseKeyValues("--opt", flags.opt),
    });
    writeOutput(`${id}\n`);
    return 0;
  },
});
