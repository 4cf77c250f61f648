import { describe, expect, test } from "bun:test";
import { digestHex, digestOf, isDigest, parseDigest } from "../../../src/oci/digest.ts";

const empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

describe("digests", () => {
  test("are read, made and taken apart", () => {
    expect(parseDigest(empty)).toBe(empty);
    expect(digestOf(new Uint8Array())).toBe(empty);
    expect(digestOf("abc")).toBe("sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect(digestHex(empty)).toHaveLength(64);
  });

  test.each([
    ["", "must begin with sha256:"],
    ["e3b0c44", "must begin with sha256:"],
    ["sha256", "must begin with sha256:"],
    ["sha512:ab", "gocker checks sha256, not sha512"],
    ["../x:y", "must begin with sha256:"],
    ["sha256:", "not 0"],
    ["sha256:zz", "only hexadecimal"],
    [`${empty}0`, "not 65"],
    [empty.replace("e3b0", "E3B0"), "lower case"],
    [`${empty}\n`, "only hexadecimal"],
  ])("%p is none", (text, reason) => {
    expect(isDigest(text)).toBe(false);
    expect(() => parseDigest(text)).toThrow(reason);
  });
});
