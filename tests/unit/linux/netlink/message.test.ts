import { describe, expect, test } from "bun:test";
import {
  decodeAttributeList,
  decodeAttributes,
  decodeMessages,
  decodeRefusal,
  encodeRequest,
  type Message,
  type Request,
} from "../../../../src/linux/netlink/message.ts";

describe("a request", () => {
  test("is its header, its structure and its attributes, each at a multiple of four", () => {
    const bytes = encodeRequest(
      {
        type: 0x12,
        flags: 0x300,
        body: Uint8Array.of(1, 2, 3, 4),
        attributes: [
          [3, "eth0"],
          [28, 7],
          [1, Uint8Array.of(9)],
        ],
      },
      5,
    );
    const hex = [
      "30000000 1200 0503 05000000 00000000", // length, type, flags with REQUEST and ACK, sequence, port
      "01020304",
      "0900 0300 65746830 00 000000",
      "0800 1c00 07000000",
      "0500 0100 09 000000",
    ].join(" ");
    expect(bytes.toString("hex")).toBe(hex.replaceAll(" ", ""));
  });

  test("may have attributes within attributes, and be acknowledged only when it is refused", () => {
    const attributes: Request["attributes"] = [
      [
        18,
        [
          [1, "veth"],
          [2, [[1, Uint8Array.of(7)]]],
          [3, []],
        ],
      ],
      [4, 1],
    ];
    const bytes = encodeRequest({ type: 1, body: new Uint8Array(4), attributes, isUnacknowledged: true }, 1);
    const hex = [
      "3c000000 0100 0100 01000000 00000000 00000000",
      "2000 1280 0900 0100 7665746800 000000 0c00 0280 0500 0100 07000000 0400 0380",
      "0800 0400 01000000",
    ].join("");
    expect(bytes.toString("hex")).toBe(hex.replaceAll(" ", ""));
    const [outer] = decodeAttributeList(bytes.subarray(16), 4);
    expect(decodeAttributeList(outer?.[1] ?? Buffer.alloc(0), 0).map(([type]) => type)).toEqual([1, 2, 3]);
  });

  test("has no attribute that is too long for its length", () => {
    const attributes: Request["attributes"] = [[1, new Uint8Array(0x1_0000)]];
    expect(() => encodeRequest({ type: 1, body: new Uint8Array(0), attributes }, 1)).toThrow(RangeError);
  });
});

describe("an answer", () => {
  const header = (length: number, type: number, flags: number, sequence: number) => {
    const bytes = Buffer.alloc(16);
    bytes.writeUInt32LE(length, 0);
    bytes.writeUInt16LE(type, 4);
    bytes.writeUInt16LE(flags, 6);
    bytes.writeUInt32LE(sequence, 8);
    return bytes;
  };

  test("is several messages, each at a multiple of four", () => {
    const bytes = Buffer.concat([header(17, 3, 0, 1), Buffer.of(9, 0, 0, 0), header(16, 2, 2, 3)]);
    const messages = decodeMessages(bytes);
    expect(messages.map(({ type, flags, sequence, body }) => [type, flags, sequence, [...body]])).toEqual([
      [3, 0, 1, [9]],
      [2, 2, 3, []],
    ]);
  });

  test("that is cut off or nonsense ends there", () => {
    expect(decodeMessages(Buffer.concat([header(40, 3, 0, 1), Buffer.alloc(8)]))).toEqual([]);
    expect(decodeMessages(header(4, 3, 0, 1))).toEqual([]);
    expect(decodeMessages(Buffer.alloc(3))).toEqual([]);
    const attributes = decodeAttributes(Buffer.from("0800010001020304ff00020001", "hex"), 0);
    expect([...attributes.keys()]).toEqual([1]);
  });

  test("may have the flags of nesting in an attribute's type", () => {
    const attributes = decodeAttributes(Buffer.from("ffff050002800700", "hex"), 2);
    expect(attributes.get(2)?.toString("hex")).toBe("07");
  });
});

describe("a refusal", () => {
  const refusal = (flags: number, ...parts: Buffer[]): Message => ({
    type: 2,
    flags,
    sequence: 1,
    body: Buffer.concat(parts),
  });
  const errno = Buffer.alloc(4);
  errno.writeInt32LE(-17);
  const text = Buffer.from("0800010062616400", "hex");
  const request = Buffer.alloc(20);
  request.writeUInt32LE(20);

  test("is an error number, and the kernel's words behind what was asked", () => {
    expect(decodeRefusal(refusal(0, errno, request))).toEqual({ errno: 17 });
    expect(decodeRefusal(refusal(0x200, errno, request, text))).toEqual({ errno: 17, text: "bad" });
    expect(decodeRefusal(refusal(0x300, errno, request.subarray(0, 16), text))).toEqual({ errno: 17, text: "bad" });
    expect(decodeRefusal(refusal(0x300, errno, request.subarray(0, 16)))).toEqual({ errno: 17 });
    const offset = Buffer.from("0800020014000000", "hex");
    expect(decodeRefusal(refusal(0x300, errno, request.subarray(0, 16), text, offset))).toEqual({
      errno: 17,
      text: "bad",
      offset: 20,
    });
  });

  test("of nothing is that it is done", () => {
    expect(decodeRefusal(refusal(0x100, Buffer.alloc(20)))).toEqual({ errno: 0 });
  });
});
