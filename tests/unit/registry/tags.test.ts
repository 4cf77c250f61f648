import { describe, expect, test } from "bun:test";
import { redactUrl, RegistryError } from "../../../src/registry/errors.ts";
import { editDistance, isReferrerTag, nearTags, nextPage } from "../../../src/registry/tags.ts";

describe("nextPage", () => {
  test.each([
    ['</v2/_catalog?last=grootfs%2F4mb-image&n=2>; rel="next"', "tags/list?last=grootfs%2F4mb-image&n=2"],
    ['<https://inside:1/v2/a/tags/list?n=5&last=b>; rel="next"', "tags/list?n=5&last=b"],
    ["</v2/a/tags/list?n=5&last=b>; rel=next", "tags/list?n=5&last=b"],
    ['</first?x=1>; rel="prev", </second?x=2>; rel="next"', "tags/list?x=2"],
    ['</a?x=1>; title="x"; rel="next"', "tags/list?x=1"],
    ['</a?x=1>; rel="nextish"', undefined],
    ['</a>; rel="next"', undefined],
    ["</a?x=1>", undefined],
    ["nonsense", undefined],
    [null, undefined],
  ])("%p", (link, path) => {
    expect(nextPage(link)).toBe(path as string);
  });
});

describe("nearTags", () => {
  const tags = ["3", "3.1", "3.18", "3.19", "3.19.1", "3.20", "edge", "latest", `sha256-${"a".repeat(64)}.sig`];

  test.each([
    ["3.19.0", ["3.19.1", "3", "3.19"]],
    ["3.91", ["3", "3.1", "3.19"]],
    ["lastest", ["latest"]],
    ["egde", ["edge"]],
    ["zzzzzz", []],
    ["2", []],
  ])("%s", (wanted, near) => {
    expect(nearTags(wanted, tags)).toEqual(expect.arrayContaining(near));
    if (near.length === 0) expect(nearTags(wanted, tags)).toEqual([]);
  });

  test("gives a few", () => {
    const many = Array.from({ length: 100 }, (_, index) => `1.${index}`);
    expect(nearTags("1.100", many)).toHaveLength(5);
  });

  test("stands on Levenshtein", () => {
    expect(editDistance("kitten", "sitting")).toBe(3);
    expect(editDistance("", "abc")).toBe(3);
    expect(editDistance("abc", "abc")).toBe(0);
  });
});

test("tags made of digests are no images", () => {
  const hex = "0123456789abcdef".repeat(4);
  for (const suffix of ["", ".sig", ".att", ".sbom"]) expect(isReferrerTag(`sha256-${hex}${suffix}`)).toBe(true);
  for (const tag of ["sha256-abc", "latest", `sha256-${hex}-arm64`]) expect(isReferrerTag(tag)).toBe(false);
});

describe("RegistryError", () => {
  test("shows no signature, user or password", () => {
    expect(redactUrl("https://u:p@cdn.example/blob/data?verify=123-secret#x")).toBe("https://cdn.example/blob/data");
    expect(redactUrl("not a url: secret")).toBe("(not a URL)");
    const error = new RegistryError("denied", "no", { registry: "x", url: "https://u:p@h/p?q=secret" });
    expect(error.url).toBe("https://h/p");
  });

  test("keeps everything in other words", () => {
    const error = new RegistryError("rate-limited", "no", {
      registry: "x",
      status: 429,
      retryable: true,
      hint: "wait",
    });
    const other = error.with({ message: "still no" });
    expect(other).toMatchObject({
      message: "still no",
      status: 429,
      retryable: true,
      hint: "wait",
      code: "REGISTRY_RATE_LIMITED",
    });
  });
});
