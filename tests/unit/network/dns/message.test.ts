import { describe, expect, test } from "bun:test";
import {
  datagramLimit,
  encodeAnswer,
  longestMessage,
  refusal,
  truncatedAnswer,
} from "../../../../src/network/dns/answer.ts";
import { decodeQuery, judgeResponse, type Query, recordType } from "../../../../src/network/dns/message.ts";
import { decodeName, encodeName, nameEnd, reversedAddress } from "../../../../src/network/dns/name.ts";

const bytes = (...parts: string[]) => new Uint8Array(Buffer.from(parts.join("").replaceAll(" ", ""), "hex"));
const hex = (message: Uint8Array) => Buffer.from(message).toString("hex");

// RFC 1034 6.2.1: QNAME=SRI-NIC.ARPA., QCLASS=IN, QTYPE=A
const sriNic = "075352492d4e49430441525041 00";
const question = `${sriNic} 0001 0001`;
const simple = bytes("1234 0100 0001 0000 0000 0000", question);
// As dig sends it: RD and AD, an OPT record with 1232 bytes, DO, and a cookie of eight bytes.
const extended = bytes(
  "abcd 0120 0001 0000 0000 0001",
  question,
  "00 0029 04d0 00 00 8000 000c 000a 0008 0102030405060708",
);

const decoded = (message: Uint8Array) => decodeQuery(message) as Query;

describe("a query", () => {
  test("is read", () => {
    expect(decodeQuery(simple)).toEqual({
      bytes: simple,
      name: "sri-nic.arpa",
      type: recordType.A,
      questionEnd: simple.length,
      extension: undefined,
    });
    expect(decodeQuery(extended)).toEqual({
      bytes: extended,
      name: "sri-nic.arpa",
      type: recordType.A,
      questionEnd: simple.length,
      extension: { datagram: 1232, version: 0, wantsSignatures: true },
    });
    expect(datagramLimit(decoded(simple))).toBe(512);
    expect(datagramLimit(decoded(extended))).toBe(1232);
    expect(decodeQuery(bytes("1234 0100 0001 0000 0000 0000", "00 0002 0001"))).toMatchObject({ name: "", type: 2 });
  });

  test("may have records behind the question, and pointers in their names", () => {
    const record = "c00c 0006 0001 00000000 0002 c00c";
    expect(decodeQuery(bytes("1234 0000 0001 0000 0001 0001", question, record, "00 0029 0200 00000000 0000"))).toEqual(
      expect.objectContaining({ name: "sri-nic.arpa", extension: expect.objectContaining({ datagram: 512 }) }),
    );
  });

  test.each([
    ["nothing", ""],
    ["half a header", "1234 0100 0001"],
    ["an answer", `1234 8180 0001 0000 0000 0000 ${question}`],
    ["an answer that is malformed", "1234 8180 0001 0000 0000 0000"],
  ])("is not %s", (_, message) => {
    expect(decodeQuery(bytes(message))).toBeUndefined();
  });

  const long = `3f ${"61".repeat(63)}`;
  test.each([
    ["has no question", 1, "1234 0100 0000 0000 0000 0000"],
    ["has two questions", 1, `1234 0100 0002 0000 0000 0000 ${question}${question}`],
    ["ends in its question's name", 1, `1234 0100 0001 0000 0000 0000 ${sriNic.slice(0, 9)}`],
    ["ends behind its question's name", 1, `1234 0100 0001 0000 0000 0000 ${sriNic} 0001 00`],
    ["has a name that points at itself", 1, "1234 0100 0001 0000 0000 0000 c00c 0001 0001"],
    ["has a name that points forward", 1, "1234 0100 0001 0000 0000 0000 0161c010 00 0001 0001"],
    ["has a label of another kind", 1, `1234 0100 0001 0000 0000 0000 41${"61".repeat(65)}00 0001 0001`],
    ["has a name of 257 bytes", 1, `1234 0100 0001 0000 0000 0000 ${long.repeat(4)}00 0001 0001`],
    ["lacks its records", 1, `1234 0100 0001 0000 0000 ffff ${question}`],
    ["ends in a record", 1, `1234 0100 0001 0000 0000 0001 ${question} 00 0029 0200 0000`],
    ["has a record longer than itself", 1, `1234 0100 0001 0000 0000 0001 ${question} 00 0029 0200 00000000 ffff`],
    ["has two OPT records", 1, `1234 0100 0001 0000 0000 0002 ${question} ${"00 0029 0200 00000000 0000".repeat(2)}`],
    [
      "has an OPT record that is no additional one",
      1,
      `1234 0100 0001 0001 0000 0000 ${question} 00 0029 0200 00000000 0000`,
    ],
    ["has an OPT record with a name", 1, `1234 0100 0001 0000 0000 0001 ${question} 016100 0029 0200 00000000 0000`],
    ["changes the status of a server", 4, "1234 1000 0000 0000 0000 0000"],
    ["tells of a change", 4, `1234 2000 0001 0000 0000 0000 ${question}`],
    ["is an update", 4, `1234 2800 0001 0000 0000 0000 ${question}`],
    ["is of the class CH", 5, `1234 0100 0001 0000 0000 0000 ${sriNic} 0010 0003`],
    ["is of any class", 5, `1234 0100 0001 0000 0000 0000 ${sriNic} 0001 00ff`],
    ["wants a whole zone", 5, `1234 0100 0001 0000 0000 0000 ${sriNic} 00fc 0001`],
  ])("that %s gets the code %d", (_, code, message) => {
    const query = decodeQuery(bytes(message));
    if (query === undefined || !("code" in query)) throw new Error("it was taken");
    expect(query.code).toBe(code);
    const answer = refusal(query, query.code);
    expect(hex(answer)).toStartWith("1234");
    expect((answer[2] as number) & 0xf8).toBe(0x80 | ((bytes(message)[2] as number) & 0x78));
    expect((answer[3] as number) & 0x0f).toBe(code);
    expect(hex(answer.subarray(6, 12))).toBe("000000000000");
  });
});

describe("an answer", () => {
  const address = { type: recordType.A, data: bytes("1a000049") };
  const answer = { code: 0, records: [address, { ...address, data: bytes("0a000033") }], lifetime: 86_400 };

  test("is that of RFC 1034 6.2.1, but that it is from no authority, and recursion is available", () => {
    expect(hex(encodeAnswer(decoded(simple), answer, 512))).toBe(
      hex(
        bytes(
          "1234 8180 0001 0002 0000 0000",
          question,
          "c00c 0001 0001 00015180 0004 1a000049",
          "c00c 0001 0001 00015180 0004 0a000033",
        ),
      ),
    );
  });

  test("has an extension for who has one", () => {
    expect(hex(encodeAnswer(decoded(extended), { ...answer, records: [address] }, 1232))).toBe(
      hex(
        bytes(
          "abcd 8180 0001 0001 0000 0001",
          question,
          "c00c 0001 0001 00015180 0004 1a000049",
          "00 0029 1000 00 00 8000 0000",
        ),
      ),
    );
  });

  test("has what fits, and says that there is more", () => {
    const many = { ...answer, records: Array.from({ length: 100 }, () => address) };
    const short = encodeAnswer(decoded(simple), many, 512);
    expect(short.length).toBeLessThanOrEqual(512);
    expect(hex(short.subarray(0, 12))).toBe(hex(bytes("1234 8380 0001 001e 0000 0000")));
    expect(short.length).toBe(simple.length + 30 * 16);
    const whole = encodeAnswer(decoded(simple), many, longestMessage);
    expect(hex(whole.subarray(0, 12))).toBe(hex(bytes("1234 8180 0001 0064 0000 0000")));
    // The extension is there whatever is left out.
    const extension = encodeAnswer(decoded(extended), many, 512);
    expect(extension.length).toBeLessThanOrEqual(512);
    expect(hex(extension.subarray(-11))).toBe(hex(bytes("00 0029 1000 00 00 8000 0000")));
  });

  test("says of which version of the extension gocker is", () => {
    const newer = bytes("abcd 0100 0001 0000 0000 0001", question, "00 0029 04d0 00 01 0000 0000");
    expect(hex(encodeAnswer(decoded(newer), answer, 1232))).toBe(
      hex(bytes("abcd 8180 0001 0000 0000 0001", question, "00 0029 1000 01 00 0000 0000")),
    );
  });

  test("that is too large is told of in the words of the query", () => {
    const large = bytes("9999 8583 0001 0001 0000 0000", question, "c00c 0001 0001 00015180 0004 1a000049");
    expect(hex(truncatedAnswer(decoded(extended), large))).toBe(
      hex(bytes("abcd 8783 0001 0000 0000 0001", question, "00 0029 1000 00 00 8000 0000")),
    );
  });
});

describe("what comes from a server", () => {
  const end = simple.length;
  const record = "c00c 0001 0001 00015180 0004 1a000049";
  test.each([
    ["answer", `1234 8180 0001 0001 0000 0000 ${question} ${record}`],
    ["answer", `1234 8183 0001 0000 0000 0000 ${question}`],
    ["answer", `1234 8380 0001 0000 0000 0000 ${question}`],
    ["answer", `1234 8180 0001 0001 0000 0000 077372692d6e69630461727061 00 0001 0001 ${record}`],
    ["answer", "1234 8181 0000 0000 0000 0000"],
    ["failure", `1234 8182 0001 0000 0000 0000 ${question}`],
    ["failure", `1234 8185 0001 0000 0000 0000 ${question}`],
    ["failure", "1234 8182 0000 0000 0000 0000"],
    ["stranger", ""],
    ["stranger", "1234 8180"],
    ["stranger", `1235 8180 0001 0001 0000 0000 ${question} ${record}`],
    ["stranger", `1234 0100 0001 0000 0000 0000 ${question}`],
    ["stranger", `1234 a180 0001 0000 0000 0000 ${question}`],
    ["stranger", "1234 8180 0000 0000 0000 0000"],
    ["stranger", "1234 8183 0000 0001 0000 0000"],
    ["stranger", `1234 8180 0001 0001 0000 0000 075352492d4e49440441525041 00 0001 0001 ${record}`],
    ["stranger", `1234 8180 0001 0001 0000 0000 ${sriNic} 001c 0001 ${record}`],
    ["stranger", `1234 8180 0001 0001 0000 0000 ${sriNic} 0001 0003 ${record}`],
    ["stranger", `1234 8180 0001 0000 0000 0000 ${sriNic} 0001`],
    ["stranger", `1234 8180 0002 0001 0000 0000 ${question}${question} ${record}`],
  ] as const)("is: %s (%s)", (kind, message) => {
    expect(judgeResponse(bytes(message), simple, end)).toBe(kind);
  });

  test("is not the same when types differ by what tells small letters from capitals", () => {
    const https = bytes("1234 0100 0001 0000 0000 0000", sriNic, "0041 0001");
    const other = bytes("1234 8180 0001 0000 0000 0000", sriNic, "0061 0001");
    expect(judgeResponse(other, https, end)).toBe("stranger");
  });
});

describe("a name", () => {
  test("is in bytes and back", () => {
    expect(hex(encodeName("F.ISI.ARPA") as Uint8Array)).toBe("014603495349044152504100");
    expect(decodeName(encodeName("F.ISI.ARPA") as Uint8Array, 0)).toBe("f.isi.arpa");
    expect(decodeName(bytes("03 612e62 00"), 0)).toBe("a\\046b");
    expect(decodeName(bytes("05 5c00c39c20 00"), 0)).toBe("\\092\\000\\195\\156\\032");
  });

  test.each(["", ".", "a..b", "a.", "a".repeat(64), `${"a.".repeat(127)}a`])("is not %j", (text) => {
    expect(encodeName(text)).toBeUndefined();
  });

  test("has 255 bytes at most", () => {
    const longest = `${"a.".repeat(126)}a`;
    const encoded = encodeName(longest) as Uint8Array;
    expect(encoded).toHaveLength(255);
    expect(nameEnd(encoded, 0, false)).toBe(255);
    expect(decodeName(encoded, 0)).toBe(longest);
  });

  test.each([
    ["5.0.77.10.in-addr.arpa", "10.77.0.5"],
    ["1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", "2001:db8::1"],
    ["5.0.77.in-addr.arpa", undefined],
    ["5.0.77.256.in-addr.arpa", undefined],
    ["1.5.0.77.10.in-addr.arpa", undefined],
    ["0/25.2.0.192.in-addr.arpa", undefined],
    ["8.b.d.0.1.0.0.2.ip6.arpa", undefined],
    ["web", undefined],
    ["in-addr.arpa", undefined],
  ])("%s stands for %s", (name, address) => {
    expect(reversedAddress(name)).toBe(address);
  });
});
