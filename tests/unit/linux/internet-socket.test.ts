import { describe, expect, test } from "bun:test";
import {
  decodeSocketAddress,
  encodeSocketAddress,
  formatSocketAddress,
  listenAt,
  bindSocket,
  localAddress,
  openInternetSocket,
  parseSocketAddress,
  type SocketAddress,
  startConnecting,
} from "../../../src/linux/internet-socket.ts";
import { pollAll, pollEvent } from "../../../src/linux/poll.ts";
import { errnos } from "../../../src/linux/errno.ts";
import {
  acceptConnection,
  receiveDatagram,
  receiveSome,
  sendDatagram,
  sendSome,
  socketError,
} from "../../../src/linux/socket.ts";

const at = (text: string) => parseSocketAddress(text, 0) as SocketAddress;
const anyPort = at("127.0.0.1");
const text = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString();

describe("addresses of sockets", () => {
  test.each([
    ["192.0.2.1", "192.0.2.1:53"],
    ["192.0.2.1:5353", "192.0.2.1:5353"],
    ["2001:db8::1", "[2001:db8::1]:53"],
    ["[2001:db8::1]", "[2001:db8::1]:53"],
    ["[2001:db8::1]:5353", "[2001:db8::1]:5353"],
    ["::ffff:192.0.2.1", "[::ffff:c000:201]:53"],
    ["fe80::1%lo", "[fe80::1]:53"],
  ])("%s is %s", (words, meant) => {
    expect(formatSocketAddress(parseSocketAddress(words, 53) as SocketAddress)).toBe(meant);
  });

  test.each([
    "",
    "localhost",
    "192.0.2.256",
    "192.0.2.1:",
    "192.0.2.1:65536",
    "192.0.2.1%lo",
    "[192.0.2.1]:53",
    "2001:db8::1]:53",
    "[2001:db8::1]:x",
    "fe80::1%nosuchdevice",
    "fe80::1%l\0o",
    "fe80::1%",
  ])("%j is none", (words) => {
    expect(parseSocketAddress(words, 53)).toBeUndefined();
  });

  test("are in the kernel's form and back", () => {
    const v4 = encodeSocketAddress(at("192.0.2.1:258"));
    expect(Buffer.from(v4).toString("hex")).toBe("02000102c00002010000000000000000");
    expect(decodeSocketAddress(v4)).toEqual(at("192.0.2.1:258"));
    const v6 = encodeSocketAddress({ ...at("[2001:db8::1]:258"), scope: 3 });
    expect(Buffer.from(v6).toString("hex")).toBe("0a0001020000000020010db800000000000000000000000103000000");
    expect(decodeSocketAddress(v6)).toEqual({ ...at("[2001:db8::1]:258"), scope: 3 });
    // The loopback's index is 1 in every network namespace.
    expect(parseSocketAddress("fe80::1%lo", 53)).toEqual({ ...at("[fe80::1]:53"), scope: 1 });
    expect(() => decodeSocketAddress(new Uint8Array([1, 0]))).toThrow(TypeError);
  });
});

test("datagrams tell where they come from, are cut where there is no room, and may be empty", () => {
  using server = openInternetSocket(4, "datagram");
  using client = openInternetSocket(4, "datagram");
  bindSocket(server, anyPort);
  bindSocket(client, anyPort);
  const buffer = new Uint8Array(4);
  expect(receiveDatagram(server, buffer)).toBeUndefined();
  const destination = encodeSocketAddress(localAddress(server));
  for (const words of ["abcdef", "", "ab"]) expect(sendDatagram(client, Buffer.from(words), destination)).toBe(true);
  const first = receiveDatagram(server, buffer);
  expect([text(first?.bytes), first?.length]).toEqual(["abcd", 6]);
  expect(decodeSocketAddress(first?.source as Uint8Array)).toEqual(localAddress(client));
  expect(receiveDatagram(server, buffer)).toMatchObject({ length: 0 });
  const last = receiveDatagram(server, buffer);
  expect(text(last?.bytes)).toBe("ab");
  sendDatagram(server, Buffer.from("back"), last?.source as Uint8Array);
  expect(text(receiveSome(client, new Uint8Array(9)))).toBe("back");
  startConnecting(client, localAddress(server));
  expect(sendSome(client, new Uint8Array(0))).toBe(0);
  expect(receiveDatagram(server, buffer)).toMatchObject({ length: 0 });
});

test("a connection is made without waiting, carries both ways, and ends", () => {
  using listener = openInternetSocket(4, "stream");
  listenAt(listener, anyPort);
  expect(acceptConnection(listener)).toBeUndefined();
  using client = openInternetSocket(4, "stream");
  startConnecting(client, localAddress(listener));
  pollAll([{ fd: client.number, events: pollEvent.writable }], 1000);
  expect(socketError(client)).toBe(0);
  const accepted = acceptConnection(listener);
  if (accepted === undefined) throw new Error("no connection");
  expect(receiveSome(accepted, new Uint8Array(9))).toBeUndefined();
  sendSome(client, Buffer.from("sent"));
  expect(text(receiveSome(accepted, new Uint8Array(9)))).toBe("sent");
  accepted.close();
  pollAll([{ fd: client.number, events: pollEvent.readable }], 1000);
  expect(receiveSome(client, new Uint8Array(9))).toHaveLength(0);
});

test("where nobody listens is told, by TCP and by UDP", () => {
  using gone = openInternetSocket(4, "stream");
  bindSocket(gone, anyPort);
  using client = openInternetSocket(4, "stream");
  startConnecting(client, localAddress(gone));
  pollAll([{ fd: client.number, events: pollEvent.writable }], 1000);
  expect(socketError(client)).toBe(errnos.ECONNREFUSED);
  using taken = openInternetSocket(4, "datagram");
  bindSocket(taken, anyPort);
  const { port } = localAddress(taken);
  using late = openInternetSocket(4, "datagram");
  expect(() => bindSocket(late, { ...anyPort, port })).toThrow(
    `bind 127.0.0.1:${port}: address already in use (EADDRINUSE)`,
  );
  taken.close();
  using asker = openInternetSocket(4, "datagram");
  startConnecting(asker, { ...anyPort, port });
  sendSome(asker, Buffer.from("x"));
  pollAll([{ fd: asker.number, events: pollEvent.readable }], 1000);
  expect(() => receiveSome(asker, new Uint8Array(9))).toThrow("connection refused (ECONNREFUSED)");
});

test("IPv6 has nothing to do with IPv4", () => {
  using six = openInternetSocket(6, "stream");
  listenAt(six, at("::"));
  using four = openInternetSocket(4, "stream");
  listenAt(four, { ...at("0.0.0.0"), port: localAddress(six).port });
  expect(localAddress(four).port).toBe(localAddress(six).port);
});
