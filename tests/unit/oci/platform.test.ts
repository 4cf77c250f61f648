import { describe, expect, test } from "bun:test";
import { type Index, parseIndex } from "../../../src/oci/index.ts";
import { mediaTypes } from "../../../src/oci/media-types.ts";
import {
  checkPlatform,
  choosePlatform,
  formatPlatform,
  hostPlatform,
  parsePlatform,
  PlatformError,
  platformDistance,
} from "../../../src/oci/platform.ts";
import { UsageError } from "../../../src/util/errors.ts";
import { corpusBytes, hasCorpus } from "../../helpers/corpus.ts";

/** An index of entries such as `linux/arm/v7`; an empty name is an entry without platform. */
function indexOf(...names: string[]): Index {
  const manifests = names.map((name, position) => {
    const [os, architecture, variant] = name.split("/");
    const platform = { os, architecture, ...(variant && { variant }) };
    const digest = `sha256:${String(position).padStart(64, "0")}`;
    return { mediaType: mediaTypes.ociManifest, digest, size: 1, ...(name !== "" && { platform }) };
  });
  return parseIndex(new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, manifests })));
}

const chosen = (index: Index, platform: string) =>
  index.manifests.indexOf(choosePlatform(index, parsePlatform(platform)));

describe("parsePlatform", () => {
  test.each([
    ["linux/amd64", { os: "linux", architecture: "amd64" }],
    ["linux/x86_64", { os: "linux", architecture: "amd64" }],
    ["Linux/ARM64/V8", { os: "linux", architecture: "arm64", variant: "v8" }],
    ["linux/aarch64", { os: "linux", architecture: "arm64" }],
    ["linux/armhf", { os: "linux", architecture: "arm", variant: "v7" }],
    ["linux/arm/7", { os: "linux", architecture: "arm", variant: "v7" }],
    ["armel", { os: "linux", architecture: "arm", variant: "v6" }],
    ["riscv64", { os: "linux", architecture: "riscv64" }],
    ["linux", hostPlatform()],
    ["macos/arm64", { os: "darwin", architecture: "arm64" }],
  ])("%s", (text, platform) => {
    expect(parsePlatform(text)).toEqual(platform);
  });

  test.each(["", "/", "linux/", "a/b/c/d", "potato", "linux/amd 64"])("refuses %p", (text) => {
    expect(() => parsePlatform(text)).toThrow(UsageError);
  });

  test("formatPlatform writes it back", () => {
    expect(formatPlatform(parsePlatform("linux/arm64/v8"))).toBe("linux/arm64/v8");
    expect(formatPlatform({ os: "windows", architecture: "amd64", "os.version": "10.0" })).toBe("windows/amd64 (10.0)");
  });
});

describe("choosePlatform", () => {
  test.each([
    [["linux/386", "linux/amd64"], "linux/amd64", 1],
    [["linux/amd64", "linux/amd64"], "linux/amd64", 0],
    [["linux/arm64"], "linux/arm64/v8", 0],
    [["linux/arm64/v8"], "linux/arm64", 0],
    [["linux/arm/v5", "linux/arm/v6"], "linux/arm/v7", 1],
    [["linux/arm/v6", "linux/arm/v7"], "linux/arm", 1],
    [["linux/arm/v7", "linux/arm/v6", "linux/arm/v5"], "linux/arm/v6", 1],
    [["linux/amd64/v3", "linux/amd64"], "linux/amd64", 1],
    [["linux/amd64", "linux/amd64/v3"], "linux/amd64/v3", 1],
    [["linux/amd64", "linux/amd64/v2"], "linux/amd64/v4", 1],
    [["unknown/unknown", "linux/amd64"], "linux/amd64", 1],
    [["linux/s390x", ""], "linux/amd64", 1],
    [["", "linux/amd64"], "linux/amd64", 1],
    [["linux/ppc64le/power9"], "linux/ppc64le/power9", 0],
  ])("%j for %s", (names, wanted, position) => {
    expect(chosen(indexOf(...names), wanted)).toBe(position);
  });

  test.each([
    // A processor that could is not a user that would.
    [["linux/386"], "linux/amd64", "linux/386"],
    [["linux/arm/v7"], "linux/arm64", "linux/arm/v7"],
    [["linux/arm/v7"], "linux/arm/v6", "linux/arm/v7"],
    [["linux/amd64/v3"], "linux/amd64", "linux/amd64/v3"],
    [["windows/amd64"], "linux/amd64", "windows/amd64"],
    [
      ["linux/arm64/v8", "linux/arm64/v8", "linux/s390x", "unknown/unknown"],
      "linux/amd64",
      "linux/arm64/v8, linux/s390x",
    ],
  ])("%j has none for %s", (names, wanted, list) => {
    try {
      chosen(indexOf(...names), wanted);
      throw new Error("something was chosen");
    } catch (error) {
      expect(error).toBeInstanceOf(PlatformError);
      const { message, hint, available } = error as PlatformError;
      expect(message).toBe(`the image does not exist for ${wanted}: it exists for ${list}`);
      expect(hint).toContain(`--platform ${list.split(",")[0]}`);
      expect(available.length).toBeGreaterThan(0);
    }
  });

  test("says so when there is no image at all", () => {
    expect(() => chosen(indexOf("unknown/unknown"), "linux/amd64")).toThrow("it has no image at all");
  });

  test.skipIf(!hasCorpus)("finds its way through Docker Hub's index", async () => {
    const index = parseIndex(await corpusBytes("registry/dockerhub/library-busybox-latest-index.json"));
    for (const [wanted, found] of [
      ["linux/amd64", "linux/amd64"],
      ["linux/arm64", "linux/arm64/v8"],
      ["linux/arm/v7", "linux/arm/v7"],
      ["linux/s390x", "linux/s390x"],
    ] as const) {
      const { platform, annotations } = choosePlatform(index, parsePlatform(wanted));
      expect(formatPlatform(platform!)).toBe(found);
      expect(annotations?.["vnd.docker.reference.type"]).toBeUndefined();
    }
    expect(() => choosePlatform(index, parsePlatform("linux/loong64"))).toThrow(/linux\/arm64\/v8, linux\/386/);
  });
});

test("checkPlatform compares an image's config", () => {
  const wanted = parsePlatform("linux/arm64");
  expect(() => checkPlatform("app:1", { os: "linux", architecture: "arm64", variant: "v8" }, wanted)).not.toThrow();
  expect(() => checkPlatform("app:1", { os: "linux", architecture: "amd64" }, wanted)).toThrow(
    new PlatformError("app:1 has no image for linux/arm64, only one for linux/amd64", wanted, []),
  );
  expect(platformDistance({ os: "linux", architecture: "arm", variant: "v5" }, parsePlatform("linux/arm/v7"))).toBe(
    200,
  );
});
