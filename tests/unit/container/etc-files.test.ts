import { describe, expect, test } from "bun:test";
import { readFileSync, statSync } from "node:fs";
import {
  buildEtcFiles,
  hostGateway,
  type EtcFilesInput,
  type HostEtc,
  upstreamServers,
  writeEtcFiles,
} from "../../../src/container/etc-files.ts";
import { TemporaryDirectory } from "../../helpers/temporary.ts";

const host: HostEtc = {
  hosts: "127.0.0.1 localhost\n10.0.0.5 buildhost",
  resolvConf: "# from the host\nnameserver 127.0.0.53\nnameserver 10.1.1.1\nsearch corp.example\noptions ndots:2\n",
  upstreamResolvConf: "",
};
const none: EtcFilesInput = { hostname: "abc", network: "none", addHosts: [], dns: [] };

describe("hosts", () => {
  test("a network of its own: localhost, the added hosts, the container's own addresses", () => {
    const addHosts = [{ name: "db", address: "10.0.0.9" }];
    const { hosts } = buildEtcFiles({ ...none, addHosts, addresses: ["172.18.0.2"] }, host);
    expect(hosts).toStartWith("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    expect(hosts).toEndWith("10.0.0.9\tdb\n172.18.0.2\tabc\n");
    expect(hosts).not.toContain("buildhost");
  });

  test("the host by the address that it has for the container, once that is known", () => {
    const addHosts = [{ name: "outside", address: hostGateway }];
    const line = (input: Partial<EtcFilesInput>) =>
      /^.*outside$/m.exec(buildEtcFiles({ ...none, addHosts, ...input }, host).hosts)?.[0];
    expect(line({ network: "connected", gateway: "10.77.0.1" })).toBe("10.77.0.1\toutside");
    expect(line({ network: "connected" })).toBeUndefined();
    expect(line({ network: "host" })).toBe("127.0.0.1\toutside");
  });

  test("names are asked of gocker in networks that have any", () => {
    const connected: EtcFilesInput = { ...none, network: "connected" };
    expect(buildEtcFiles(connected, host).resolvConf).not.toContain("127.0.0.11");
    expect(buildEtcFiles({ ...connected, hasNameServer: true, dns: ["1.1.1.1"] }, host).resolvConf).toBe(
      "nameserver 127.0.0.11\nsearch corp.example\noptions ndots:2\n",
    );
    const plain = { ...host, resolvConf: "nameserver 10.1.1.1\noptions rotate\n" };
    expect(buildEtcFiles({ ...connected, hasNameServer: true }, plain).resolvConf).toBe(
      "nameserver 127.0.0.11\noptions rotate ndots:0\n",
    );
  });

  test("a name with a domain is also known without it", () => {
    const { hosts } = buildEtcFiles({ ...none, hostname: "web.example.org", addresses: ["10.0.0.2"] }, host);
    expect(hosts).toEndWith("10.0.0.2\tweb.example.org web\n");
  });

  test("a domain of the container's is of its first name", () => {
    const { hosts, hostname } = buildEtcFiles(
      { ...none, hostname: "web", domainname: "example.org", addresses: ["10.0.0.2"] },
      host,
    );
    expect(hosts).toEndWith("10.0.0.2\tweb.example.org web\n");
    expect(hostname).toBe("web\n");
  });

  test("the host's network: the host's own, and the container's name", () => {
    const { hosts } = buildEtcFiles({ ...none, network: "host" }, host);
    expect(hosts).toBe("127.0.0.1 localhost\n10.0.0.5 buildhost\n127.0.1.1\tabc\n");
  });

  test("the host's network with added hosts: not the host's, as Docker has it", () => {
    const addHosts = [{ name: "db", address: "fd00::9" }];
    const { hosts } = buildEtcFiles({ ...none, network: "host", addHosts }, host);
    expect(hosts).toContain("127.0.0.1\tlocalhost\n");
    expect(hosts).toEndWith("fd00::9\tdb\n127.0.1.1\tabc\n");
    expect(hosts).not.toContain("buildhost");
  });
});

describe("resolv.conf", () => {
  const resolvConf = (input: Partial<EtcFilesInput>, change: Partial<HostEtc> = {}) =>
    buildEtcFiles({ ...none, ...input }, { ...host, ...change }).resolvConf;

  test("loopback servers are left out, search and options stay", () => {
    expect(resolvConf({})).toBe("nameserver 10.1.1.1\nsearch corp.example\noptions ndots:2\n");
  });

  test("search domains and options take the place of the host's, each for itself", () => {
    expect(resolvConf({ dnsSearch: ["a.example", "b.example"] })).toBe(
      "nameserver 10.1.1.1\nsearch a.example b.example\noptions ndots:2\n",
    );
    expect(resolvConf({ dnsOptions: ["rotate", "ndots:5"] })).toBe(
      "nameserver 10.1.1.1\nsearch corp.example\noptions rotate ndots:5\n",
    );
    expect(resolvConf({ dns: ["9.9.9.9"], dnsSearch: ["."], dnsOptions: ["rotate"] })).toBe(
      "nameserver 9.9.9.9\noptions rotate\n",
    );
  });

  test("on the host's network they leave the host's servers, loopback ones too", () => {
    expect(resolvConf({ network: "host", dnsSearch: ["."] })).toBe(
      "nameserver 127.0.0.53\nnameserver 10.1.1.1\noptions ndots:2\n",
    );
  });

  test("systemd-resolved's real servers stand in for its stub", () => {
    const upstreamResolvConf = "nameserver 192.0.2.1\nnameserver fe80::1%eth0\nsearch up.example\n";
    expect(resolvConf({}, { upstreamResolvConf })).toBe("nameserver 192.0.2.1\nsearch up.example\n");
  });

  test("what is no address is left out, wherever servers come from", () => {
    const text = "nameserver bogus\nnameserver 10.1.1.256\nnameserver 10.1.1.1%eth0\nnameserver fe80::1%eth0\n";
    const change = { resolvConf: `${text}nameserver 192.0.2.7\n` };
    expect(resolvConf({}, change)).toBe("nameserver 192.0.2.7\n");
    expect(resolvConf({ network: "host", dnsSearch: ["."] }, change)).toBe(
      "nameserver fe80::1%eth0\nnameserver 192.0.2.7\n",
    );
    expect(upstreamServers([], { ...host, ...change })).toEqual(["fe80::1%eth0", "192.0.2.7"]);
    expect(resolvConf({}, { resolvConf: "nameserver bogus\n" })).toBe("nameserver 8.8.8.8\nnameserver 8.8.4.4\n");
  });

  test.each(["", "nameserver 127.0.0.1\n", "nameserver ::1\nnameserver 0.0.0.0\n", "nameserver 0:0:0:0:0:0:0:1"])(
    "public servers when nothing is left: %j",
    (text) => {
      expect(resolvConf({}, { resolvConf: text })).toBe("nameserver 8.8.8.8\nnameserver 8.8.4.4\n");
    },
  );

  test.each(["2001:db8::1", "::2", "::10", "1::", "10.127.0.1"])("%s is no loopback address", (address) => {
    expect(resolvConf({}, { resolvConf: `nameserver ${address}\n` })).toBe(`nameserver ${address}\n`);
  });

  test("given servers replace the host's", () => {
    expect(resolvConf({ dns: ["1.1.1.1"], network: "host" })).toBe(
      "nameserver 1.1.1.1\nsearch corp.example\noptions ndots:2\n",
    );
  });

  test("the host's network: word for word", () => {
    expect(resolvConf({ network: "host" })).toBe(host.resolvConf);
  });
});

test("the files are readable by all, whatever the umask", () => {
  using directory = new TemporaryDirectory("etc");
  const before = process.umask(0o077);
  try {
    const paths = writeEtcFiles(directory.path, buildEtcFiles(none, host));
    expect(readFileSync(paths.hostname, "utf8")).toBe("abc\n");
    for (const path of Object.values(paths)) expect(statSync(path).mode & 0o777).toBe(0o644);
  } finally {
    process.umask(before);
  }
});
