import { describe, expect, test } from "bun:test";
import { type DbusValue, Marshaller } from "../../../../src/linux/dbus/marshal.ts";
import { decodeMessage, encodeMessage, messageLength, messageTypes } from "../../../../src/linux/dbus/message.ts";
import { parseSignature } from "../../../../src/linux/dbus/signature.ts";
import { Unmarshaller } from "../../../../src/linux/dbus/unmarshal.ts";
import { InvalidDocumentError } from "../../../../src/util/errors.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

test.each<[signature: string, values: DbusValue[], bytes: string]>([
  ["y", [255], "ff"],
  ["yu", [1, 2], "01000000 02000000"],
  ["b", [true], "01000000"],
  ["nq", [-2, 65535], "feff ffff"],
  ["ix", [-1, -2n], "ffffffff 00000000 feffffffffffffff"],
  ["t", [18446744073709551615n], "ffffffffffffffff"],
  ["d", [1.5], "000000000000f83f"],
  ["s", ["foo"], "03000000 666f6f00"],
  ["og", ["/a", "as"], "02000000 2f6100 02617300"],
  ["v", [{ signature: "u", value: 5 }], "01750000 05000000"],
  ["au", [[1, 2]], "08000000 01000000 02000000"],
  // The padding before the first element does not count.
  ["at", [[]], "00000000 00000000"],
  ["at", [[1n]], "08000000 00000000 0100000000000000"],
  ["a(ss)", [[["a", "b"]]], "0e000000 00000000 0100000061000000 010000006200"],
  ["a{su}", [[["a", 1]]], "0c000000 00000000 0100000061000000 01000000"],
])("%s of %p", (signature, values, bytes) => {
  const encoded = new Marshaller().write(signature, values).bytes();
  expect(hex(encoded)).toBe(bytes.replaceAll(" ", ""));
  expect(new Unmarshaller(encoded, 0, true).read(signature)).toEqual(values);
});

test("the other order of bytes", () => {
  const bytes = Buffer.from("0000000100000003666f6f00", "hex");
  expect(new Unmarshaller(bytes, 0, false).read("us")).toEqual([1, "foo"]);
});

test("more than the first buffer holds", () => {
  const text = "x".repeat(1000);
  const bytes = new Marshaller().write("yss", [1, text, text]).bytes();
  expect(new Unmarshaller(bytes, 0, true).read("yss")).toEqual([1, text, text]);
});

test("signatures", () => {
  expect(parseSignature("sa(sv)")).toEqual([
    { code: "s" },
    { code: "a", element: { code: "(", fields: [{ code: "s" }, { code: "v" }] } },
  ]);
  for (const wrong of ["z", "a", "(", "(s", "()", "{s}", "a{s}", ")", `${"a".repeat(40)}s`]) {
    expect(() => parseSignature(wrong)).toThrow(InvalidDocumentError);
  }
});

test("values that do not fit", () => {
  const write = (signature: string, values: DbusValue[]) => () => new Marshaller().write(signature, values);
  expect(write("u", ["1"])).toThrow(TypeError);
  expect(write("s", [1])).toThrow(TypeError);
  expect(write("s", ["a\0b"])).toThrow(TypeError);
  expect(write("b", [1])).toThrow(TypeError);
  expect(write("as", ["a"])).toThrow(TypeError);
  expect(write("(ss)", [["a"]])).toThrow(TypeError);
  expect(write("ss", ["a"])).toThrow(TypeError);
});

describe("messages", () => {
  const call = {
    type: messageTypes.call,
    serial: 7,
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
    member: "StopUnit",
    destination: "org.freedesktop.systemd1",
    signature: "ss",
    body: ["a.scope", "replace"],
  };

  test("are read as they are written", () => {
    const bytes = encodeMessage(call);
    expect(messageLength(bytes)).toBe(bytes.length);
    expect(messageLength(bytes.subarray(0, 15))).toBeUndefined();
    expect(decodeMessage(bytes)).toEqual(call);
    expect(decodeMessage(encodeMessage({ type: messageTypes.reply, serial: 1, replySerial: 7, body: [] }))).toEqual({
      type: messageTypes.reply,
      serial: 1,
      replySerial: 7,
      body: [],
    });
  });

  test("a call without body", () => {
    const bytes = encodeMessage({ type: 1, serial: 1, path: "/", member: "Hello", body: [] });
    const fields = "01016f00 01000000 2f00 000000000000 03017300 05000000 48656c6c6f00";
    // Order of bytes, call, no flags, version; the lengths of body, serial and fields; the fields, padded.
    const expected = `6c010001 00000000 01000000 1e000000 ${fields} 0000`;
    expect(hex(bytes)).toBe(expected.replaceAll(" ", ""));
  });

  test("that are cut off, or none, are refused", () => {
    const bytes = encodeMessage(call);
    for (let length = 16; length < bytes.length; length++) {
      expect(() => decodeMessage(bytes.slice(0, length))).toThrow(InvalidDocumentError);
    }
    expect(() => messageLength(Buffer.from("HTTP/1.1 400 Bad"))).toThrow(InvalidDocumentError);
    const huge = Uint8Array.from(bytes);
    huge.set([0xff, 0xff, 0xff, 0xff], 4);
    expect(() => messageLength(huge)).toThrow("claims to have");
  });

  test("variants in each other without an end are refused", () => {
    let value: DbusValue = { signature: "y", value: 1 };
    for (let depth = 0; depth < 70; depth++) value = { signature: "v", value };
    const bytes = new Marshaller().write("v", [value]).bytes();
    expect(() => new Unmarshaller(bytes, 0, true).read("v")).toThrow(InvalidDocumentError);
  });
});
