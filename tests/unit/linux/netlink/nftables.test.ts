import { describe, expect, test } from "bun:test";
import { errnos } from "../../../../src/linux/errno.ts";
import { encodeRequest, type Request } from "../../../../src/linux/netlink/message.ts";
import * as expressions from "../../../../src/linux/netlink/nftables/expressions.ts";
import {
  addChain,
  addElement,
  addRule,
  addSet,
  addTable,
  batchBegin,
  batchEnd,
  deleteElement,
  elementsOf,
} from "../../../../src/linux/netlink/nftables/messages.ts";
import {
  decodeComment,
  decodeFields,
  encodeFields,
  type SetDefinition,
} from "../../../../src/linux/netlink/nftables/sets.ts";
import { missingPart } from "../../../../src/linux/netlink/nftables/socket.ts";

/** What follows the length, as bytes without spaces. */
const encoded = (request: Request) => encodeRequest(request, 1).toString("hex");
const hex = (...parts: string[]) => parts.join("").replaceAll(" ", "");
const header = (length: string, type: string, flags: string) => `${length} ${type} ${flags} 01000000 00000000 01000000`;
const table = "0b00 0100 676f636b657200 00";

const ports: SetDefinition = {
  name: "ports4",
  key: ["inet_proto", "inet_service"],
  value: ["ipv4_addr", "inet_service"],
};
const subnets: SetDefinition = { name: "subnets4", key: ["ipv4_addr"], isInterval: true };

/** The bytes are those that nft 1.0.6 sends for the same. */
describe("a message of nftables", () => {
  test("makes a table with a comment", () => {
    expect(encoded(addTable("gocker", "gocker's own"))).toBe(
      hex(header("34000000", "000a", "0504"), table, "1300 0600 000d 676f636b65722773206f776e00 00"),
    );
  });

  test("makes a chain, with a place or without", () => {
    expect(encoded(addChain("gocker", "published"))).toBe(
      hex(header("30000000", "030a", "0504"), table, "0e00 0300 7075626c697368656400 0000"),
    );
    const hook = { type: "nat", at: "prerouting", priority: -100 } as const;
    expect(encoded(addChain("gocker", "prerouting", hook))).toBe(
      hex(
        header("54000000", "030a", "0504"),
        table,
        "0f00 0300 707265726f7574696e6700 00",
        "1400 0480 0800 0100 00000000 0800 0200 ffffff9c",
        "0800 0500 00000001",
        "0800 0700 6e617400",
      ),
    );
  });

  test("makes a map of concatenations", () => {
    expect(encoded(addSet("gocker", ports))).toBe(
      hex(
        header("6c000000", "090a", "0504"),
        table,
        "0b00 0200 706f7274733400 00",
        "0800 0300 00000008", // a map
        "0800 0400 0000030d 0800 0500 00000008", // inet_proto . inet_service
        "0800 0600 000001cd 0800 0700 00000008", // ipv4_addr . inet_service
        "0800 0a00 00000001",
        "1000 0d00 0004 00000000 0104 00000000",
      ),
    );
  });

  test("adds an element of a map, and removes it by its key", () => {
    const key = encodeFields(ports.key, [Uint8Array.of(6), Uint8Array.of(0, 80)]);
    const value = encodeFields(ports.value ?? [], [Uint8Array.of(10, 77, 0, 2), Uint8Array.of(0x1f, 0x90)]);
    const start = [table, "0b00 0200 706f7274733400 00"];
    expect(encoded(addElement("gocker", ports, { key, value }))).toBe(
      hex(
        header("54000000", "0c0a", "0504"),
        ...start,
        "2800 0380 2400 0180 1000 0180 0c00 0100 06000000 00500000 1000 0280 0c00 0100 0a4d0002 1f900000",
      ),
    );
    expect(encoded(deleteElement("gocker", ports, { key, value, comment: "x" }))).toBe(
      hex(header("44000000", "0e0a", "0500"), ...start, "1800 0380 1400 0180 1000 0180 0c00 0100 06000000 00500000"),
    );
    expect(decodeFields(ports.key, key).map((field) => field.toString("hex"))).toEqual(["06", "0050"]);
  });

  test("adds an interval as its first key and the one behind it", () => {
    const element = { key: Uint8Array.of(10, 77, 0, 0), end: Uint8Array.of(10, 78, 0, 0), comment: "gocker0" };
    expect(encoded(addElement("gocker", subnets, element))).toBe(
      hex(
        header("6c000000", "0c0a", "0504"),
        table,
        "0d00 0200 7375626e6574733400 000000",
        "3c00 0380",
        "2000 0180 0c00 0180 0800 0100 0a4d0000 0e00 0600 0008 676f636b65723000 0000",
        "1800 0180 0800 0300 00000001 0c00 0180 0800 0100 0a4e0000",
      ),
    );
  });

  test("adds a rule of expressions", () => {
    const { compare, jump, lookUp, masquerade, meta, payload, translateDestination } = expressions;
    const list = (...rule: expressions.Expression[]) => {
      const text = encoded(addRule("gocker", "published", rule));
      const start = hex(table, "0e00 0200 7075626c697368656400 0000");
      expect(text).toContain(start);
      return text.slice(text.indexOf(start) + start.length + 8);
    };
    expect(list(meta("nfproto"), compare("equal", Uint8Array.of(10)))).toBe(
      hex(
        "2400 0180 0900 0100 6d65746100 000000 1400 0280 0800 0200 0000000f 0800 0100 00000001",
        "2c00 0180 0800 0100 636d7000 2000 0280 0800 0100 00000001 0800 0200 00000000 0c00 0380 0500 0100 0a000000",
      ),
    );
    expect(list(payload("network", 24, 16), payload("transport", 2, 2, 5))).toBe(
      hex(
        "3400 0180 0c00 0100 7061796c6f616400 2400 0280",
        "0800 0100 00000001 0800 0200 00000001 0800 0300 00000018 0800 0400 00000010",
        "3400 0180 0c00 0100 7061796c6f616400 2400 0280",
        "0800 0100 0000000d 0800 0200 00000002 0800 0300 00000002 0800 0400 00000002",
      ),
    );
    expect(list(translateDestination(6))).toBe(
      hex(
        "3000 0180 0800 0100 6e617400 2400 0280",
        "0800 0100 00000001 0800 0200 0000000a 0800 0300 00000001 0800 0500 00000002",
      ),
    );
    expect(list(lookUp("bridges", "not in"), masquerade)).toBe(
      hex(
        "3000 0180 0b00 0100 6c6f6f6b757000 00 2000 0280",
        "0c00 0100 6272696467657300 0800 0200 00000001 0800 0500 00000001",
        "1400 0180 0900 0100 6d61737100 000000 0400 0280",
      ),
    );
    expect(list(jump("published"))).toBe(
      hex(
        "4000 0180 0e00 0100 696d6d65646961746500 0000 2c00 0280 0800 0100 00000000",
        "2000 0280 1c00 0280 0800 0100 fffffffd 0e00 0200 7075626c697368656400 0000",
      ),
    );
  });

  test("that begins and ends a batch is of all families and names the subsystem", () => {
    expect(encoded(batchBegin)).toBe(hex("14000000 1000 0100 01000000 00000000 0000000a"));
    expect(encoded(batchEnd)).toBe(hex("14000000 1100 0100 01000000 00000000 0000000a"));
  });

  test("refuses a name that is too long for a device", () => {
    expect(() => encodeFields(["ifname"], [Buffer.alloc(17)])).toThrow("not a field of ifname");
  });
});

describe("an answer of nftables", () => {
  const answer = (set: SetDefinition, ...elements: Parameters<typeof addElement>[2][]) =>
    elements.map((element) => {
      const body = encodeRequest(addElement("gocker", set, element), 1).subarray(16);
      return { type: 0, flags: 0, sequence: 1, body };
    });

  test("has the elements of a map", () => {
    const key = encodeFields(ports.key, [Uint8Array.of(17), Uint8Array.of(0, 53)]);
    const value = encodeFields(ports.value ?? [], [Uint8Array.of(10, 77, 0, 2), Uint8Array.of(0, 53)]);
    const [found] = elementsOf(ports, answer(ports, { key, value }));
    expect({ key: found?.key, value: found?.value }).toEqual({ key, value });
  });

  test("has the ends of intervals in any order", () => {
    const one = { key: Uint8Array.of(10, 77, 0, 0), end: Uint8Array.of(10, 78, 0, 0), comment: "gocker0" };
    const two = { key: Uint8Array.of(10, 78, 0, 0), end: Uint8Array.of(10, 79, 0, 0) };
    const last = { key: Uint8Array.of(255, 0, 0, 0) };
    const found = elementsOf(subnets, answer(subnets, last, two, one));
    expect(found.map(({ key, end, comment }) => [key[0], key[1], end?.[1], comment])).toEqual([
      [255, 0, undefined, undefined],
      [10, 78, 79, undefined],
      [10, 77, 78, "gocker0"],
    ]);
  });

  test("may have remarks that are no comments", () => {
    expect(decodeComment(undefined)).toBeUndefined();
    expect(decodeComment(Buffer.from("0104ffffffff", "hex"))).toBeUndefined();
    expect(decodeComment(Buffer.from("0104ffffffff00026100", "hex"))).toBe("a");
    expect(decodeComment(Buffer.from("00", "hex"))).toBeUndefined();
  });
});

describe("what the kernel lacks", () => {
  const rule = addRule("gocker", "published", [expressions.meta("nfproto"), expressions.addressKind("daddr")]);
  const unknown = { index: 1, errno: errnos.ENOENT };

  test("is an expression that it points at", () => {
    const offset = encodeRequest(rule, 0).indexOf("fib") - 8;
    expect(missingPart(rule, { ...unknown, offset })).toBe('nftables\' expression "fib"');
    expect(missingPart(rule, unknown)).toBe("an expression of nftables");
    expect(missingPart(rule, { ...unknown, offset: 1000 })).toBe("an expression of nftables");
  });

  test("is a kind of chains, or all of nftables", () => {
    const chain = addChain("gocker", "output", { type: "nat", at: "output", priority: -100 });
    expect(missingPart(chain, unknown)).toContain("chains of the type nat");
    expect(missingPart(undefined, { index: 0, errno: errnos.EOPNOTSUPP })).toBe("nftables");
  });

  test("is nothing when the table is away, or something else is wrong", () => {
    const element = addElement("gocker", ports, { key: new Uint8Array(8) });
    expect(missingPart(element, unknown)).toBeUndefined();
    expect(missingPart(rule, { index: 1, errno: errnos.EINVAL })).toBeUndefined();
    expect(missingPart(undefined, { index: 0, errno: errnos.EPERM })).toBeUndefined();
  });
});
