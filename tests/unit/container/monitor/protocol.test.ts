import { expect, test } from "bun:test";
import {
  decodeDocument,
  decodeSize,
  encodeDocument,
  encodeMessage,
  encodeSize,
  MessageReader,
  messageType,
} from "../../../../src/container/monitor/protocol.ts";
import { InvalidDocumentError } from "../../../../src/util/errors.ts";

const messages = [
  encodeDocument(messageType.greeting, { output: true, input: false }),
  encodeMessage(messageType.input, new Uint8Array([0, 255, 10])),
  encodeMessage(messageType.inputEnd),
  encodeSize({ height: 30, width: 300 }),
];

test.each([1, 2, 3, 5, 7, 1000])("messages come out whole, however they are cut (%d bytes at once)", (size) => {
  const bytes = Buffer.concat(messages);
  const reader = new MessageReader();
  const found: { type: number; body: Uint8Array }[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    for (const { type, body } of reader.add(bytes.subarray(at, at + size))) found.push({ type, body: body.slice() });
  }
  expect(found.map(({ type }) => type)).toEqual([1, 2, 3, 4]);
  const [greeting, input, end, terminal] = found.map(({ body }) => body);
  expect(decodeDocument(greeting as Uint8Array)).toEqual({ output: true, input: false });
  expect([...(input as Uint8Array)]).toEqual([0, 255, 10]);
  expect(end).toHaveLength(0);
  expect(decodeSize(terminal as Uint8Array)).toEqual({ height: 30, width: 300 });
});

test("what is no message is refused, and not waited for", () => {
  expect(() => new MessageReader().add(Buffer.from([1, 255, 255, 255, 255]))).toThrow(InvalidDocumentError);
  expect(() => decodeDocument(Buffer.from("{"))).toThrow(InvalidDocumentError);
  expect(decodeSize(new Uint8Array(3))).toBeUndefined();
});
