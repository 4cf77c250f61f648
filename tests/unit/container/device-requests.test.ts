import { describe, expect, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { requestDevices, withDevices } from "../../../src/container/device-requests.ts";
import { makeNodeAt, openDirectory } from "../../../src/linux/at.ts";
import { S_IFBLK, S_IFCHR } from "../../../src/linux/constants.ts";
import { makeDevice } from "../../../src/linux/device-number.ts";
import { UsageError } from "../../../src/util/errors.ts";
import { isRoot, TemporaryDirectory } from "../../helpers/temporary.ts";

test("a device at another place, and the rule by which it may be used", () => {
  const { nodes, rules } = requestDevices([{ source: "/dev/null", target: "/dev/nothing", access: "rw" }]);
  expect(nodes).toMatchObject([{ type: "c", path: "/dev/nothing", major: 1, minor: 3 }]);
  expect(rules).toEqual([{ allow: true, type: "c", major: 1, minor: 3, access: "rw" }]);
});

test("of two for one place the last counts; both may be used", () => {
  const { nodes, rules } = requestDevices([
    { source: "/dev/null", target: "/dev/x", access: "r" },
    { source: "/dev/zero", target: "/dev/x", access: "w" },
  ]);
  expect(nodes).toMatchObject([{ path: "/dev/x", minor: 5 }]);
  expect(rules).toHaveLength(2);
});

test("others take the place of those that have it", () => {
  const node = (path: string, minor: number) => ({ type: "c", path, major: 1, minor }) as const;
  expect(withDevices([node("/dev/a", 1), node("/dev/b", 2)], [node("/dev/a", 3)])).toEqual([
    node("/dev/a", 3),
    node("/dev/b", 2),
  ]);
});

test("what is missing, and what is no device", () => {
  using directory = new TemporaryDirectory("no-devices");
  const { path } = directory;
  writeFileSync(`${path}/file`, "");
  mkdirSync(`${path}/empty`);
  const request = (name: string) => () =>
    requestDevices([{ source: `${path}/${name}`, target: "/dev/x", access: "rwm" }]);
  expect(request("none")).toThrow(UsageError);
  expect(request("none")).toThrow(`${path}/none: the host has no such device`);
  expect(request("file")).toThrow("it is no device, and none is below it");
  expect(request("empty")).toThrow("it is no device, and none is below it");
});

describe.skipIf(!isRoot)("with devices of the test's own", () => {
  test("all below a directory, and what a link leads to", () => {
    using directory = new TemporaryDirectory("devices-below");
    const { path } = directory;
    mkdirSync(`${path}/bus/usb`, { recursive: true });
    const make = (place: string, name: string, type: number, number: bigint) => {
      using parent = openDirectory(`${path}/${place}`);
      makeNodeAt(parent.number, name, type, Number(number));
    };
    make("bus", "one", S_IFBLK, makeDevice(8, 1));
    make("bus/usb", "two", S_IFCHR, makeDevice(189, 2));
    symlinkSync("bus", `${path}/link`);
    const { nodes, rules } = requestDevices([{ source: `${path}/link`, target: "/dev/bus/", access: "r" }]);
    expect(nodes.map((node) => node.path)).toEqual(["/dev/bus/one", "/dev/bus/usb/two"]);
    expect(rules).toEqual([
      { allow: true, type: "b", major: 8, minor: 1, access: "r" },
      { allow: true, type: "c", major: 189, minor: 2, access: "r" },
    ]);
  });
});
