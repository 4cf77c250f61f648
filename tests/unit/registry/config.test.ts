import { describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadRegistriesConfig, parseRegistriesConfig, registrySettings } from "../../../src/registry/config.ts";
import { endpointsOf } from "../../../src/registry/endpoints.ts";
import { UsageError } from "../../../src/util/errors.ts";

const parse = (value: unknown) => parseRegistriesConfig(JSON.stringify(value), "config.json");

describe("parseRegistriesConfig", () => {
  test("reads registries and proxies, and leaves the rest to others", () => {
    const config = parse({
      registries: { "docker.io": { mirrors: ["https://m.example"] }, "Reg:5000": { insecure: true, ca: "/ca.pem" } },
      proxies: { "https-proxy": "http://p:1", "no-proxy": "a,b c" },
      somethingElse: 1,
    });
    expect(config.registries.get("docker.io")?.mirrors).toEqual(["https://m.example"]);
    expect(registrySettings(config, "reg:5000")).toEqual({ mirrors: [], insecure: true, authorities: ["/ca.pem"] });
    expect(config.proxies).toEqual({ http: undefined, https: "http://p:1", except: ["a", "b", "c"] });
  });

  test("a registry's own entry counts, then the nearest above it", () => {
    const { registries } = parse({
      registries: {
        "*.example.com": { ca: ["/1"] },
        "*.b.example.com": { ca: ["/2"] },
        "x.b.example.com": { ca: ["/3"] },
      },
    });
    const authority = (name: string) => registrySettings({ registries, proxies: {} }, name).authorities[0];
    expect(["x.b.example.com", "y.b.example.com:5000", "y.example.com", "example.com"].map(authority)).toEqual([
      "/3",
      "/2",
      "/1",
      undefined,
    ]);
  });

  test("Docker Hub has one name", () => {
    expect([...parse({ registries: { "index.docker.io": {} } }).registries.keys()]).toEqual(["docker.io"]);
  });

  test.each([
    ["[]", "config.json: the file must be an object"],
    ["{", "config.json is not JSON"],
    ['{"registries":[]}', "config.json: registries must be an object"],
    ['{"registries":{"https://a":{}}}', '"https://a" is not the name of a registry'],
    ['{"registries":{"a":{"mirror":[]}}}', 'registries["a"] has the unknown key "mirror"'],
    ['{"registries":{"a":{"mirrors":"b"}}}', 'registries["a"].mirrors must be a list'],
    ['{"registries":{"a":{"mirrors":["ftp://b"]}}}', '"ftp://b" is not a mirror'],
    ['{"registries":{"a":{"mirrors":["https://b?x"]}}}', "is not a mirror"],
    ['{"registries":{"a":{"mirrors":["https://u:secret@b"]}}}', "the URL of b holds a user"],
    ['{"registries":{"a":{"insecure":"yes"}}}', 'registries["a"].insecure must be true or false'],
    ['{"proxies":{"http":"x"}}', 'proxies has the unknown key "http"'],
    ['{"proxies":{"http-proxy":1}}', "proxies.http-proxy must be a string"],
  ])("refuses %s", (text, reason) => {
    expect(() => parseRegistriesConfig(text, "config.json")).toThrow(UsageError);
    expect(() => parseRegistriesConfig(text, "config.json")).toThrow(reason);
    expect(() => parseRegistriesConfig(text, "config.json")).not.toThrow("secret");
  });
});

describe("loadRegistriesConfig", () => {
  test("reads the file of GOCKER_CONFIG, and the mirrors of the environment before its own", async () => {
    const directory = await mkdtemp(join(tmpdir(), "gocker-config-"));
    try {
      const path = join(directory, "config.json");
      await Bun.write(path, JSON.stringify({ registries: { "docker.io": { mirrors: ["c"], insecure: true } } }));
      const config = await loadRegistriesConfig({ GOCKER_CONFIG: path, GOCKER_REGISTRY_MIRROR: "a, https://b/x" });
      const hub = { mirrors: ["a", "https://b/x", "c"], insecure: true, authorities: [] };
      expect(registrySettings(config, "docker.io")).toEqual(hub);
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  test("a file that was named must be there, another need not", async () => {
    await expect(loadRegistriesConfig({ GOCKER_CONFIG: "/nonexistent/config.json" })).rejects.toThrow("does not exist");
    await expect(loadRegistriesConfig({ GOCKER_REGISTRY_MIRROR: "ftp://x" })).rejects.toThrow("GOCKER_REGISTRY_MIRROR");
  });
});

describe("endpointsOf", () => {
  const certificateDirectories: string[] = [];
  const origins = async (domain: string, registries: object = {}, insecure: string[] = []) => {
    const config = parse({ registries });
    const endpoints = await endpointsOf(domain, { config, insecure, certificateDirectories });
    return endpoints.map(({ origins: ways, prefix }) =>
      [...ways.map(({ url, verify }) => `${url}${verify ? "" : " unchecked"}`), ...(prefix ? [prefix] : [])].join(", "),
    );
  };

  test.each<[string, object, string[], string[]]>([
    ["docker.io", {}, [], ["https://registry-1.docker.io"]],
    ["ghcr.io", {}, [], ["https://ghcr.io"]],
    ["reg:5000", {}, [], ["https://reg:5000"]],
    ["localhost:5000", {}, [], ["http://localhost:5000, https://localhost:5000 unchecked"]],
    ["127.0.0.2", {}, [], ["http://127.0.0.2, https://127.0.0.2 unchecked"]],
    ["[::1]:5000", {}, [], ["http://[::1]:5000, https://[::1]:5000 unchecked"]],
    ["localhost:5000", { "localhost:5000": { ca: "/ca" } }, [], ["https://localhost:5000"]],
    ["reg", { reg: { insecure: true } }, [], ["https://reg unchecked, http://reg"]],
    ["reg:5000", {}, ["reg"], ["https://reg:5000 unchecked, http://reg:5000"]],
    ["reg:5000", {}, ["reg:5001"], ["https://reg:5000"]],
    [
      "docker.io",
      { "docker.io": { mirrors: ["https://m/v2/", "http://n:5000", "h.example/hub/proxy/", "localhost:5001"] } },
      [],
      [
        "https://m",
        "http://n:5000",
        "https://h.example, hub/proxy",
        "http://localhost:5001, https://localhost:5001 unchecked",
        "https://registry-1.docker.io",
      ],
    ],
    // That Hub is insecure says nothing of its mirrors.
    [
      "docker.io",
      { "docker.io": { mirrors: ["m"], insecure: true } },
      [],
      ["https://m", "https://registry-1.docker.io unchecked, http://registry-1.docker.io"],
    ],
    [
      "docker.io",
      { "docker.io": { mirrors: ["m"] }, m: { insecure: true } },
      [],
      ["https://m unchecked, http://m", "https://registry-1.docker.io"],
    ],
  ])("%s with %j, insecure %j", async (domain, registries, insecure, expected) => {
    expect(await origins(domain, registries, insecure)).toEqual(expected);
  });
});
