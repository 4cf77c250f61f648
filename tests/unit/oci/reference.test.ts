import { describe, expect, test } from "bun:test";
import {
  familiarReference,
  formatReference,
  InvalidReferenceError,
  parseReference,
  withVersion,
} from "../../../src/oci/reference.ts";

const hex = "0123456789abcdef".repeat(4);
const digest = `sha256:${hex}` as const;

describe("parseReference", () => {
  test.each([
    ["alpine", "docker.io", "library/alpine"],
    ["library/alpine", "docker.io", "library/alpine"],
    ["bitnami/kubectl", "docker.io", "bitnami/kubectl"],
    ["docker.io/alpine", "docker.io", "library/alpine"],
    ["index.docker.io/alpine", "docker.io", "library/alpine"],
    ["index.docker.io/a/b", "docker.io", "a/b"],
    ["ghcr.io/owner/name", "ghcr.io", "owner/name"],
    ["localhost/name", "localhost", "name"],
    ["localhost:5000/name", "localhost:5000", "name"],
    ["Registry/name", "Registry", "name"],
    ["[::1]:5000/name", "[::1]:5000", "name"],
    ["127.0.0.1:5000/a/b/c", "127.0.0.1:5000", "a/b/c"],
    ["a__b/c-d/e--f/g.h_i", "docker.io", "a__b/c-d/e--f/g.h_i"],
    [`${hex}/x`, "docker.io", `${hex}/x`],
    [`a${hex}`, "docker.io", `library/a${hex}`],
  ])("%s", (text, domain, repository) => {
    expect(parseReference(text)).toEqual({ domain, repository });
  });

  test.each([
    ["alpine:3.19", { tag: "3.19" }],
    ["localhost:5000", { repository: "library/localhost", tag: "5000" }],
    ["localhost:5000/a:b", { domain: "localhost:5000", repository: "a", tag: "b" }],
    ["a:_B-c.D", { tag: "_B-c.D" }],
    [`a:${"t".repeat(128)}`, { tag: "t".repeat(128) }],
    [`a@${digest}`, { digest }],
    [`quay.io/a/b:c@${digest}`, { domain: "quay.io", tag: "c", digest }],
  ])("%s", (text, expected) => {
    expect(parseReference(text)).toMatchObject(expected);
  });

  test.each([
    ["", "it is empty"],
    ["a b", "no white space"],
    [hex, "an image's ID"],
    ["https://docker.io/alpine", "a name has no https://"],
    ["Alpine", '"Alpine" must be lower case'],
    ["docker.io/Alpine", '"Alpine" must be lower case'],
    ["a/B", '"a/B" must be lower case'],
    ["My_Org/a", "upper-case letters"],
    ["-a.com/b", "host name"],
    ["a.com:port/b", "host name"],
    ["a.com/", "the repository is missing"],
    [":tag", "the repository is missing"],
    ["a//b", "nothing between two slashes"],
    ["a/", "nothing between two slashes"],
    ["-a", '"-a" may only have'],
    ["a..b", '"a..b" may only have'],
    ["a___b", '"a___b" may only have'],
    ["a_", '"a_" may only have'],
    ["../../etc", "host name"],
    ["x/../etc", '".." may only have'],
    ["a:", "the tag after the colon is missing"],
    ["a:.b", '".b" is not a tag'],
    ["a:b:c", '"b:c" is not a tag'],
    ["a:b/c", "host name"],
    [`a:${"t".repeat(129)}`, "129 characters, at most 128"],
    ["a@", "is not a digest"],
    ["a@sha256:123", "64 hexadecimal digits must stand, not 3"],
    [`a@sha256:${hex.toUpperCase()}`, "lower case"],
    [`a@sha512:${hex}${hex}`, "gocker checks sha256, not sha512"],
    [`a@${digest}:tag`, "only hexadecimal digits"],
    ["a".repeat(256), "has 264 characters, at most 255"],
    [`x.io/${"a".repeat(256)}`, "has 256 characters, at most 255"],
  ])("refuses %p", (text, reason) => {
    expect(() => parseReference(text)).toThrow(InvalidReferenceError);
    expect(() => parseReference(text)).toThrow(reason);
  });

  test("says how to write it", () => {
    const hint = (text: string) => {
      try {
        parseReference(text);
      } catch (error) {
        return (error as InvalidReferenceError).hint;
      }
      return undefined;
    };
    expect(hint("https://docker.io/alpine")).toBe("write docker.io/alpine");
    expect(hint("ghcr.io/Owner/Name:Tag")).toBe("write ghcr.io/owner/name:Tag");
  });

  test("accepts the longest repository", () => {
    expect(parseReference(`x.io/${"a".repeat(255)}`).repository).toHaveLength(255);
  });
});

describe("the two ways to write a reference", () => {
  test.each([
    ["alpine", "docker.io/library/alpine", "alpine"],
    ["docker.io/library/alpine:3.19", "docker.io/library/alpine:3.19", "alpine:3.19"],
    ["library/a", "docker.io/library/a", "a"],
    ["docker.io/a/b", "docker.io/a/b", "a/b"],
    ["ghcr.io/library/a:1", "ghcr.io/library/a:1", "ghcr.io/library/a:1"],
    // Shorter, these would name other registries.
    ["docker.io/localhost/a", "docker.io/localhost/a", "docker.io/localhost/a"],
    ["docker.io/foo.bar/a", "docker.io/foo.bar/a", "docker.io/foo.bar/a"],
    ["docker.io/library/library/a", "docker.io/library/library/a", "library/library/a"],
    [`a:b@${digest}`, `docker.io/library/a:b@${digest}`, `a:b@${digest}`],
  ])("%s", (text, canonical, familiar) => {
    const reference = parseReference(text);
    expect(formatReference(reference)).toBe(canonical);
    expect(familiarReference(reference)).toBe(familiar);
    expect(parseReference(canonical)).toEqual(reference);
    expect(parseReference(familiar)).toEqual(reference);
  });

  test("withVersion replaces tag and digest", () => {
    const reference = parseReference(`a:b@${digest}`);
    expect(formatReference(withVersion(reference, { tag: "c" }))).toBe("docker.io/library/a:c");
    expect(formatReference(withVersion(reference, {}))).toBe("docker.io/library/a");
  });
});
