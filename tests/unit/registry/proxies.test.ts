import { describe, expect, test } from "bun:test";
import { inBlock, isLoopback, parseHostPort } from "../../../src/registry/addresses.ts";
import { proxyFor, readProxies } from "../../../src/registry/proxies.ts";
import { UsageError } from "../../../src/util/errors.ts";

describe("readProxies", () => {
  test("small letters win, then capitals, then all, then the configuration", () => {
    const environment = { https_proxy: "http://a:1", HTTPS_PROXY: "http://b:1", ALL_PROXY: "http://c:1" };
    expect(readProxies(environment)).toEqual({ https: "http://a:1", http: "http://c:1", except: [] });
    const configured = { http: "http://d:1", https: "http://e:1", except: ["x"] };
    expect(readProxies({}, configured)).toEqual(configured);
    expect(readProxies({ HTTP_PROXY: "f:1", NO_PROXY: "a, b" }, configured)).toEqual({
      http: "http://f:1",
      https: "http://e:1",
      except: ["a", "b"],
    });
  });

  test("other kinds are refused, without their passwords", () => {
    expect(() => readProxies({ ALL_PROXY: "socks5://u:secret@h:1" })).toThrow(UsageError);
    expect(() => readProxies({ ALL_PROXY: "socks5://u:secret@h:1" })).toThrow(/^(?!.*secret).*socks5/);
    expect(() => readProxies({ HTTPS_PROXY: "http://u:secret@:x" })).toThrow(/^(?!.*secret).*HTTPS_PROXY/);
  });
});

describe("proxyFor", () => {
  const proxies = (except: string) =>
    readProxies({ HTTPS_PROXY: "http://p:1", HTTP_PROXY: "http://q:1", NO_PROXY: except });
  const used = (url: string, except = "") => proxyFor(new URL(url), proxies(except));

  test("goes by the scheme", () => {
    expect(used("https://a.example/")).toBe("http://p:1");
    expect(used("http://a.example/")).toBe("http://q:1");
  });

  test.each(["http://localhost:5000/", "http://127.8.9.10/", "http://[::1]:5000/", "https://x.localhost/"])(
    "%s is this machine",
    (url) => {
      expect(used(url)).toBeUndefined();
    },
  );

  test.each([
    ["*", "https://a.example/", true],
    ["a.example", "https://a.example/", true],
    ["a.example", "https://b.a.example/", true],
    ["a.example", "https://ba.example/", false],
    [".a.example", "https://a.example/", true],
    ["*.a.example", "https://b.a.example/", true],
    ["A.Example", "https://a.example./", true],
    ["a.example:443", "https://a.example/", true],
    ["a.example:5000", "https://a.example/", false],
    ["10.0.0.0/8", "https://10.1.2.3/", true],
    ["10.0.0.0/8", "https://11.1.2.3/", false],
    ["10.0.0.0/8", "https://ten.example/", false],
    ["fd00::/8", "https://[fd12::1]/", true],
    ["::2", "https://[::2]/", true],
    ["[::2]:443", "https://[::2]/", true],
    ["[::2]:444", "https://[::2]/", false],
    ["192.0.2.1", "https://192.0.2.1/", true],
    ["", "https://192.0.2.1/", false],
  ])("NO_PROXY=%s %s", (except, url, direct) => {
    expect(used(url, except) === undefined).toBe(direct);
  });
});

describe("addresses", () => {
  test.each([
    ["localhost", true],
    ["127.0.0.1", true],
    ["127.255.255.254", true],
    ["::1", true],
    ["::ffff:127.0.0.1", true],
    ["128.0.0.1", false],
    ["::2", false],
    ["localhost.example.com", false],
    ["127.0.0.1.example.com", false],
    ["127.1", false],
  ])("%s loopback: %p", (host, expected) => {
    expect(isLoopback(host)).toBe(expected);
  });

  test("hosts and ports", () => {
    expect(parseHostPort("A.b:5")).toEqual({ host: "a.b", port: 5 });
    expect(parseHostPort("[::1]:5")).toEqual({ host: "::1", port: 5 });
    expect(parseHostPort("a")).toEqual({ host: "a", port: undefined });
    for (const text of ["", "a:b", "a/b", "a b", "u@h", "::1", "a:123456"]) expect(parseHostPort(text)).toBeUndefined();
  });

  test("blocks", () => {
    expect(inBlock("192.0.2.1", "192.0.2.0/x")).toBe(false);
    expect(inBlock("192.0.2.1", "192.0.2.0/33")).toBe(false);
    expect(inBlock("192.0.2.1", "0.0.0.0/0")).toBe(true);
    expect(inBlock("::1", "0.0.0.0/0")).toBe(false);
  });
});
