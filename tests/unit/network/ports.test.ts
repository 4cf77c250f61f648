import { describe, expect, test } from "bun:test";
import { bindSocket, listenAt, localAddress, openInternetSocket } from "../../../src/linux/internet-socket.ts";
import { holdPorts, type PortRequest } from "../../../src/network/ports.ts";
import { ConflictError, UsageError } from "../../../src/util/errors.ts";
import { type IpAddress, parseIpAddress } from "../../../src/util/ip-address.ts";

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

  test("of a container conflict with each other, too", () => {
    using free = occupy();
    free[Symbol.dispose]();
    expect(() => holdPorts([at(free.port), { ...at(free.port), containerPort: 81 }], container)).toThrow(ConflictError);
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
