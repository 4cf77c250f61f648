import { describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { bindSocket, listenAt, localAddress, openInternetSocket } from "../../../src/linux/internet-socket.ts";
import { holdPorts, type PortRequest } from "../../../src/network/ports.ts";
import { TakenPorts } from "../../../src/network/taken-ports.ts";
import { ConflictError, UsageError } from "../../../src/util/errors.ts";
import { type IpAddress, parseIpAddress } from "../../../src/util/ip-address.ts";
import { fewDescriptors, noDescriptor } from "../../helpers/few-descriptors.ts";

const address = (text: string): IpAddress => {
  const parsed = parseIpAddress(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
};
const container4 = [address("10.9.0.2")];
const container = [...container4, address("fd00::2")];
const loopback = "127.0.0.1";
const web: PortRequest = { protocol: "tcp", hostAddress: loopback, containerPort: 80 };
const at = (port: number): PortRequest => ({ ...web, hostPorts: { first: port, last: port } });

/** Somebody who has a port of the loopback. */
function occupy(port = 0, protocol: "tcp" | "udp" = "tcp") {
  const socket = openInternetSocket(4, protocol === "tcp" ? "stream" : "datagram");
  const place = { address: address(loopback), port };
  if (protocol === "tcp") listenAt(socket, place);
  else bindSocket(socket, place);
  return { port: localAddress(socket).port, [Symbol.dispose]: () => socket.close() };
}

describe("ports of the host", () => {
  test("of nobody's choice are the kernel's, the same in both families", () => {
    using held = holdPorts([{ protocol: "tcp", containerPort: 80 }], container);
    const port = held.publications[0]?.hostPort ?? 0;
    expect(port).toBeGreaterThan(1023);
    expect(held.publications).toEqual([
      { protocol: "tcp", hostAddress: "0.0.0.0", hostPort: port, containerAddress: "10.9.0.2", containerPort: 80 },
      { protocol: "tcp", hostAddress: "::", hostPort: port, containerAddress: "fd00::2", containerPort: 80 },
    ]);
    expect(held.sockets).toHaveLength(2);
  });

  test("lead to a container's address of the other family where it has none of one", () => {
    using held = holdPorts([{ protocol: "udp", containerPort: 53 }], container4);
    expect(held.publications.map(({ hostAddress, containerAddress }) => [hostAddress, containerAddress])).toEqual([
      ["0.0.0.0", "10.9.0.2"],
      ["::", "10.9.0.2"],
    ]);
  });

  test("that somebody has are refused, and what was held for the container before that is free again", () => {
    using taken = occupy();
    using free = occupy();
    free[Symbol.dispose]();
    const both = () => holdPorts([at(free.port), at(taken.port)], container);
    expect(both).toThrow(ConflictError);
    expect(both).toThrow(`port ${taken.port}/tcp of the host is in use already at 127.0.0.1`);
    using again = holdPorts([at(free.port)], container);
    expect(again.publications[0]?.hostPort).toBe(free.port);
  });

  test("are others for each protocol", () => {
    using taken = occupy();
    using held = holdPorts([{ ...at(taken.port), protocol: "udp" }], container);
    expect(held.publications[0]).toMatchObject({ protocol: "udp", hostPort: taken.port });
    expect(() => holdPorts([{ ...at(taken.port), protocol: "udp" }], container)).toThrow(
      `port ${taken.port}/udp of the host is in use already`,
    );
  });

  test.each(["tcp", "udp", "sctp"] as const)("of %s that a container asks for twice are nobody else's", (protocol) => {
    using free = occupy(0, protocol === "udp" ? "udp" : "tcp");
    free[Symbol.dispose]();
    const { port } = free;
    const twice = { ...at(port), protocol };
    const again: PortRequest = { protocol, hostPorts: { first: port, last: port }, containerPort: 81 };
    for (const second of [{ ...twice, containerPort: 81 }, again]) {
      const both = () => holdPorts([twice, second], container);
      expect(both).toThrow(ConflictError);
      expect(both).toThrow(`port ${port}/${protocol} of the host is asked for twice by the container itself`);
    }
  });

  test("of a range are the first that is free", () => {
    using taken = occupy();
    const { port } = taken;
    const range: PortRequest = { ...web, hostPorts: { first: port, last: Math.min(port + 40, 65_535) } };
    using held = holdPorts([range], container);
    expect(held.publications[0]?.hostPort).toBeGreaterThan(port);
    const alone: PortRequest = { ...web, hostPorts: { first: port, last: port } };
    expect(() => holdPorts([alone], container)).toThrow(ConflictError);
    using other = holdPorts([range, range], container);
    const ports = [...held.publications, ...other.publications].map(({ hostPort }) => hostPort);
    expect(new Set(ports).size).toBe(3);
  });

  test("that are all taken are told of as a range", () => {
    for (let attempt = 0; attempt < 20; attempt++) {
      using first = occupy();
      let second: ReturnType<typeof occupy> | undefined;
      try {
        second = occupy(first.port + 1);
      } catch {
        // Somebody else has it, or there is none.
        continue;
      }
      using _second = second;
      const range = { ...web, hostPorts: { first: first.port, last: first.port + 1 } };
      expect(() => holdPorts([range], container)).toThrow(
        `all ports ${first.port}-${first.port + 1}/tcp of the host are in use already`,
      );
      return;
    }
    throw new Error("no two ports that follow each other are free");
  });

  test("at an address that the host has not are a mistake of the user's", () => {
    const elsewhere = () => holdPorts([{ ...web, hostAddress: "192.0.2.77" }], container);
    expect(elsewhere).toThrow(UsageError);
    expect(elsewhere).toThrow("the host has no address 192.0.2.77");
  });

  test("of SCTP are held by nothing, and those of a container without an address are none", () => {
    using held = holdPorts([{ ...at(3868), protocol: "sctp" }], container);
    expect([held.publications.length, held.sockets.length]).toEqual([1, 0]);
    using none = holdPorts([web], []);
    expect([none.publications, none.sockets]).toEqual([[], []]);
    const elsewhere = () => holdPorts([{ ...at(3868), protocol: "sctp", hostAddress: "192.0.2.77" }], container);
    expect(elsewhere).toThrow("the host has no address 192.0.2.77");
  });

  test.each([
    ["0.0.0.0", undefined],
    ["0.0.0.0", loopback],
    [loopback, undefined],
    [loopback, loopback],
    ["::1", undefined],
  ])("of SCTP that others have at %p are refused at %p", (theirs, ours) => {
    const taken = new TakenPorts([{ protocol: "sctp", hostAddress: theirs, hostPort: 3868 }]);
    const request: PortRequest = {
      protocol: "sctp",
      ...(ours !== undefined && { hostAddress: ours }),
      hostPorts: { first: 3868, last: 3868 },
      containerPort: 80,
    };
    expect(() => holdPorts([request], container, taken)).toThrow(
      `port 3868/sctp of the host is in use already${ours === undefined ? "" : ` at ${ours}`}`,
    );
    using next = holdPorts([{ ...request, hostPorts: { first: 3868, last: 3870 } }], container, taken);
    expect(next.publications[0]?.hostPort).toBe(3869);
  });

  test("of SCTP are others at other addresses, and of other protocols", () => {
    const taken = new TakenPorts([
      { protocol: "sctp", hostAddress: "127.0.0.2", hostPort: 3868 },
      { protocol: "sctp", hostAddress: "::", hostPort: 3868 },
      { protocol: "udp", hostAddress: loopback, hostPort: 3868 },
    ]);
    using held = holdPorts([{ ...at(3868), protocol: "sctp" }], container, taken);
    expect(held.publications).toHaveLength(1);
  });

  test("of SCTP of nobody's choice are such that nobody has", () => {
    const taken = new TakenPorts([{ protocol: "sctp", hostAddress: "0.0.0.0", hostPort: 49_152 }]);
    const any: PortRequest = { protocol: "sctp", containerPort: 80 };
    using held = holdPorts([any, { ...any, containerPort: 81 }], container4, taken);
    expect(held.publications.map(({ hostAddress, hostPort }) => [hostAddress, hostPort])).toEqual([
      ["0.0.0.0", 49_153],
      ["::", 49_153],
      ["0.0.0.0", 49_154],
      ["::", 49_154],
    ]);
  });

  test("of a range that a container has all of are not said to be somebody else's", () => {
    using first = occupy();
    first[Symbol.dispose]();
    const range: PortRequest = { ...web, hostPorts: { first: first.port, last: first.port } };
    expect(() => holdPorts([at(first.port), range], container)).toThrow("asked for twice by the container itself");
    const sctp: PortRequest = { ...range, protocol: "sctp", hostPorts: { first: 3868, last: 3869 } };
    expect(() => holdPorts([sctp, sctp, sctp], container)).toThrow(
      "all ports 3868-3869/sctp of the host are asked for twice by the container itself",
    );
  });

  test("of which there are too many for the process are refused, and given back", () => {
    const requests = Array.from({ length: 64 }, (_, index): PortRequest => ({ ...web, containerPort: 1 + index }));
    const before = readdirSync("/proc/self/fd").length;
    {
      using _few = fewDescriptors(40);
      const many = () => holdPorts(requests, container);
      expect(many).toThrow(UsageError);
      expect(many).toThrow(/^64 ports of the host take more sockets than a container can have here \(\d+\)$/);
    }
    {
      using _none = noDescriptor();
      expect(() => holdPorts(requests, container)).toThrow("64 ports of the host take more sockets");
    }
    expect(readdirSync("/proc/self/fd")).toHaveLength(before);
    using held = holdPorts(requests, container);
    expect(held.sockets).toHaveLength(64);
  });

  test("are free when they are let go", () => {
    using free = occupy();
    free[Symbol.dispose]();
    for (let round = 0; round < 3; round++) {
      using held = holdPorts([at(free.port)], container);
      expect(held.publications).toHaveLength(1);
    }
  });
});
