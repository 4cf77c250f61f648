import { expect, test } from "bun:test";
import type { NetworkRequest } from "../../../../src/container/options.ts";
import type { ContainerRecord } from "../../../../src/container/record.ts";
import type { ContainerFacts } from "../../../../src/engine/inspect/facts.ts";
import { networkSettings, portBindings } from "../../../../src/engine/inspect/network-settings.ts";
import type { Attachment, Endpoint } from "../../../../src/network/endpoints.ts";
import { imageConfig, newContainer } from "../../../helpers/container.ts";

const id = "4f5e".padEnd(64, "0");

const attachment = (network: string, change: Partial<Attachment> = {}): Attachment => ({
  network,
  networkId: `id of ${network}`,
  device: "eth0",
  hardwareAddress: "02:42:0a:09:00:02",
  addresses: ["10.9.0.2/24"],
  gateways: ["10.9.0.1"],
  aliases: [],
  ...change,
});

function settings(networks: readonly NetworkRequest[], endpoint?: Partial<Endpoint>, exposedPorts: string[] = []) {
  const record: ContainerRecord = {
    ...newContainer(),
    version: 1,
    id,
    name: "web",
    created: "",
    options: {},
    state: { status: "created" },
    networks,
    exposedPorts,
  };
  const facts: ContainerFacts = {
    record,
    spec: { ociVersion: "1.1.0" },
    image: imageConfig(),
    directory: "",
    layers: [],
    paused: false,
    logPath: "",
    volumePath: (name) => name,
    endpoint: endpoint && { version: 1, container: id, name: "web", attachments: [], publications: [], ...endpoint },
  };
  return JSON.parse(JSON.stringify(networkSettings(facts))) as Record<string, unknown> & {
    readonly Networks: Record<string, Record<string, unknown>>;
  };
}

test("a container that does not run has the networks that it wants to be in, and nothing of them", () => {
  const { Networks, ...rest } = settings([{ network: "blue", aliases: ["db"], ipv4: "10.9.0.7" }], undefined, [
    "80/tcp",
  ]);
  expect(rest).toMatchObject({ SandboxID: "", Ports: {}, IPAddress: "", IPPrefixLen: 0, MacAddress: "", Gateway: "" });
  expect(Networks).toEqual({
    blue: {
      IPAMConfig: { IPv4Address: "10.9.0.7" },
      Links: null,
      Aliases: ["db"],
      MacAddress: "",
      DriverOpts: null,
      GwPriority: 0,
      NetworkID: "",
      EndpointID: "",
      Gateway: "",
      IPAddress: "",
      IPPrefixLen: 0,
      IPv6Gateway: "",
      GlobalIPv6Address: "",
      GlobalIPv6PrefixLen: 0,
      DNSNames: ["web", "db", id.slice(0, 12)],
    },
  });
});

test("addresses of the default network are there a second time, as Docker has it; others' are not", () => {
  const six = attachment("bridge", {
    addresses: ["10.9.0.2/24", "fd00::2/64"],
    gateways: ["10.9.0.1", "fd00::1"],
  });
  const both = settings([{ network: "bridge" }, { network: "blue" }], { attachments: [attachment("blue"), six] });
  const facts = {
    EndpointID: id,
    IPAddress: "10.9.0.2",
    IPPrefixLen: 24,
    Gateway: "10.9.0.1",
    GlobalIPv6Address: "fd00::2",
    GlobalIPv6PrefixLen: 64,
    IPv6Gateway: "fd00::1",
    MacAddress: "02:42:0a:09:00:02",
  };
  expect(both).toMatchObject({ SandboxID: id, ...facts });
  expect(both.Networks["bridge"]).toMatchObject({ ...facts, NetworkID: "id of bridge", Aliases: null, DNSNames: null });
  expect(both.Networks["blue"]).toMatchObject({
    IPAddress: "10.9.0.2",
    GlobalIPv6Address: "",
    DNSNames: ["web", id.slice(0, 12)],
  });
  expect(settings([{ network: "blue" }], { attachments: [attachment("blue")] })).toMatchObject({
    IPAddress: "",
    EndpointID: "",
    MacAddress: "",
  });
});

test("the priority that a network has for the way out is shown", () => {
  expect(settings([{ network: "blue", gatewayPriority: -3 }]).Networks["blue"]).toMatchObject({ GwPriority: -3 });
});

test("each of the names that it has in a network is there once", () => {
  const { Networks } = settings([{ network: "blue", aliases: ["db", "web", "db"] }]);
  expect(Networks["blue"]).toMatchObject({ DNSNames: ["web", "db", id.slice(0, 12)] });
});

test("ports are by those of the container; known ones that are not published have nothing", () => {
  const publication = { protocol: "tcp", hostPort: 8080, containerAddress: "10.9.0.2", containerPort: 80 } as const;
  const { Ports } = settings(
    [{ network: "bridge" }],
    {
      attachments: [attachment("bridge")],
      publications: [
        { ...publication, hostAddress: "0.0.0.0" },
        { ...publication, hostAddress: "::" },
        { ...publication, hostAddress: "127.0.0.1", protocol: "udp", hostPort: 53, containerPort: 53 },
      ],
    },
    ["80/tcp", "443", "9/sctp"],
  );
  expect(Ports).toEqual({
    "443/tcp": null,
    "53/udp": [{ HostIp: "127.0.0.1", HostPort: "53" }],
    "80/tcp": [
      { HostIp: "0.0.0.0", HostPort: "8080" },
      { HostIp: "::", HostPort: "8080" },
    ],
    "9/sctp": null,
  });
});

test("what was asked for of ports is another matter than what came of it", () => {
  const bindings = portBindings([
    { protocol: "tcp", containerPort: 80 },
    { protocol: "tcp", containerPort: 80, hostAddress: "127.0.0.1", hostPorts: { first: 8080, last: 8080 } },
    { protocol: "udp", containerPort: 53, hostPorts: { first: 5300, last: 5310 } },
  ]);
  expect(JSON.parse(JSON.stringify(bindings)) as unknown).toEqual({
    "53/udp": [{ HostIp: "", HostPort: "5300-5310" }],
    "80/tcp": [
      { HostIp: "", HostPort: "" },
      { HostIp: "127.0.0.1", HostPort: "8080" },
    ],
  });
});
