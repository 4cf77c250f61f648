import { describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { describeDevice, scanHostDevices } from "../../../src/container/devices.ts";
import { makeNodeAt, openDirectory } from "../../../src/linux/at.ts";
import { S_IFBLK, S_IFCHR, S_IFIFO } from "../../../src/linux/constants.ts";
import { makeDevice } from "../../../src/linux/device-number.ts";
import { splitDevice } from "../../../src/linux/device-number.ts";
import { isRoot, TemporaryDirectory } from "../../helpers/temporary.ts";

test.each([
  [1, 3],
  [8, 0x1_0203],
  [0xfff, 0xff],
  [0x1234_5678, 0x9abc_def0],
])("a device number of %d and %d", (major, minor) => {
  expect(splitDevice(makeDevice(major, minor))).toEqual({ major, minor });
});

test("/dev/null is what it is everywhere", () => {
  expect(describeDevice("/dev/null", "/dev/zero")).toMatchObject({ type: "c", path: "/dev/zero", major: 1, minor: 3 });
  expect(describeDevice("/dev", "/dev")).toBeUndefined();
  expect(describeDevice("/dev/none", "/dev/none")).toBeUndefined();
});

describe.skipIf(!isRoot)("scanHostDevices", () => {
  test("finds nodes below directories, and leaves out what each container has of its own", () => {
    using directory = new TemporaryDirectory("devices");
    const { path } = directory;
    for (const name of ["pts", "shm", "bus/usb"]) mkdirSync(`${path}/${name}`, { recursive: true });
    const make = (place: string, name: string, type: number, number: bigint) => {
      using parent = openDirectory(`${path}/${place}`);
      makeNodeAt(parent.number, name, type, Number(number));
      chmodSync(`${path}/${place}/${name}`, 0o640);
    };
    make("", "sda", S_IFBLK, makeDevice(8, 300));
    make("bus/usb", "001", S_IFCHR, makeDevice(189, 0));
    make("pts", "0", S_IFCHR, makeDevice(136, 0));
    make("", "console", S_IFCHR, makeDevice(5, 1));
    make("", "ptmx", S_IFCHR, makeDevice(5, 2));
    make("", "fifo", S_IFIFO, 0n);
    writeFileSync(`${path}/file`, "");
    symlinkSync("sda", `${path}/disk`);
    const owner = { uid: 0, gid: 0, fileMode: 0o640 };
    expect(scanHostDevices(path)).toEqual([
      { type: "c", path: "/dev/bus/usb/001", major: 189, minor: 0, ...owner },
      { type: "b", path: "/dev/sda", major: 8, minor: 300, ...owner },
    ]);
    expect(scanHostDevices(`${path}/none`)).toEqual([]);
  });
});
