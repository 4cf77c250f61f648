import { describe, expect, test } from "bun:test";
import { statSync, utimesSync } from "node:fs";
import type { Attachment, Endpoint } from "../../../src/network/endpoints.ts";
import { ContainerNames } from "../../../src/network/names.ts";
import { NetworkStore } from "../../../src/network/networks.ts";
import { TemporaryDirectory } from "../../helpers/temporary.ts";

const id = (digit: string) => digit.repeat(64);

const attachment = (network: string, addresses: string[], aliases: string[] = []): Attachment => ({
  network,
  networkId: `id of ${network}`,
  device: "eth0",
  hardwareAddress: "",
  addresses,
  gateways: [],
  aliases,
});

const endpoint = (digit: string, name: string, ...attachments: Attachment[]): Endpoint => ({
  version: 1,
  container: id(digit),
  name,
  attachments,
  publications: [],
});

/** The names that the container with the ID of ones knows, of these endpoints. */
function openNames(...endpoints: Endpoint[]) {
  const directory = new TemporaryDirectory("names");
  const store = new NetworkStore(`${directory.path}/root`, directory.path);
  for (const one of endpoints) store.endpoints.write(one);
  const names = new ContainerNames(store, directory.path, id("1"));
  return { store, names, path: directory.path, [Symbol.dispose]: () => directory[Symbol.dispose]() };
}

const me = endpoint("1", "me", attachment("Blue", ["10.9.0.2/24", "fd00::2/64"]));
const web = endpoint("a", "Web", attachment("Blue", ["10.9.0.3/24", "fd00::3/64"], ["www", "Front.End"]));

describe("names of containers", () => {
  test("are their own, short IDs and aliases, in any letters, with and without the network's", () => {
    using bench = openNames(me, web);
    for (const name of ["web", "WEB", "www", "front.end", id("a").slice(0, 12), "web.blue", "www.BLUE"]) {
      expect([name, bench.names.addresses(name)]).toEqual([name, ["10.9.0.3", "fd00::3"]]);
    }
    for (const name of ["wep", "web.red", "blue", "", id("a"), "web.blue.blue", "__proto__", "constructor"]) {
      expect([name, bench.names.addresses(name)]).toEqual([name, undefined]);
    }
    expect(bench.names.addresses("me")).toEqual(["10.9.0.2", "fd00::2"]);
  });

  test("of several with one name are all", () => {
    const other = endpoint("b", "other", attachment("Blue", ["10.9.0.4/24"], ["www"]));
    using bench = openNames(me, web, other);
    expect(bench.names.addresses("www")?.toSorted()).toEqual(["10.9.0.3", "10.9.0.4", "fd00::3"]);
  });

  test("are those of the networks that one is in, and none in the default one", () => {
    using bench = openNames(
      endpoint("1", "me", attachment("Blue", ["10.9.0.2/24"]), attachment("bridge", ["10.77.0.2/16"])),
      web,
      endpoint("b", "far", attachment("Red", ["10.8.0.2/24"])),
      endpoint("c", "usual", attachment("bridge", ["10.77.0.3/16"])),
      endpoint("d", "both", attachment("Red", ["10.8.0.3/24"]), attachment("Blue", ["10.9.0.5/24"])),
    );
    expect(bench.names.addresses("web")).toHaveLength(2);
    expect([bench.names.addresses("far"), bench.names.addresses("usual")]).toEqual([undefined, undefined]);
    expect(bench.names.addresses("both")).toEqual(["10.9.0.5"]);
    expect(bench.names.addresses("me")).toEqual(["10.9.0.2"]);
  });

  test("are found by their addresses, however these are written", () => {
    using bench = openNames(me, web);
    expect(bench.names.nameOf("10.9.0.3")).toBe("Web.Blue");
    expect(bench.names.nameOf("FD00:0::3")).toBe("Web.Blue");
    expect([bench.names.nameOf("10.9.0.9"), bench.names.nameOf("nonsense")]).toEqual([undefined, undefined]);
  });

  test("are none without a network, or without anybody on record", () => {
    using bench = openNames(web);
    expect(bench.names.addresses("web")).toBeUndefined();
    using empty = openNames();
    expect([empty.names.addresses("web"), empty.names.nameOf("10.9.0.3")]).toEqual([undefined, undefined]);
  });

  test("of others are asked for only as long as a network has a way out", async () => {
    using bench = openNames(
      endpoint("1", "me", attachment("inside", ["10.9.0.2/24"]), attachment("out", ["10.8.0.2/24"])),
    );
    // Whoever writes there has the lock, whose file makes the directory.
    using _lock = await bench.store.lockRecords();
    for (const name of ["inside", "out"]) {
      const internal = name === "inside";
      bench.store.write({
        version: 1,
        id: `id of ${name}`,
        name,
        created: "",
        driver: "bridge",
        device: name,
        subnets: [],
        internal,
        labels: {},
        options: {},
      });
    }
    expect(bench.names.isIsolated).toBe(false);
    bench.store.endpoints.write(endpoint("1", "me", attachment("inside", ["10.9.0.2/24"])));
    expect(bench.names.isIsolated).toBe(true);
  });

  test("are others as soon as endpoints are", () => {
    using bench = openNames(me);
    const { store, names } = bench;
    expect(names.addresses("web")).toBeUndefined();
    store.endpoints.write(web);
    expect(names.addresses("web")).toEqual(["10.9.0.3", "fd00::3"]);
    store.endpoints.write({ ...web, name: "renamed" });
    expect([names.addresses("web"), names.addresses("renamed")]).toEqual([undefined, ["10.9.0.3", "fd00::3"]]);
    store.endpoints.remove(web.container);
    expect(names.addresses("renamed")).toBeUndefined();
    store.endpoints.remove(me.container);
    store.endpoints.write(web);
    expect(names.addresses("web")).toBeUndefined();
  });

  test("are others too when the kernel's clock had no time to go on between two changes", () => {
    using bench = openNames(me);
    const { store, names, path } = bench;
    const directory = `${path}/networks/endpoints`;
    const { atime, mtime } = statSync(directory);
    utimesSync(directory, atime, mtime);
    expect(names.addresses("web")).toBeUndefined();
    store.endpoints.write(web);
    utimesSync(directory, atime, mtime);
    expect(names.addresses("web")).toEqual(["10.9.0.3", "fd00::3"]);
    store.endpoints.remove(web.container);
    utimesSync(directory, atime, mtime);
    expect(names.addresses("web")).toBeUndefined();
  });
});
