import { describe, expect, test } from "bun:test";
import {
  checkIdMappings,
  hostIdOf,
  idMappingsOf,
  idMapText,
  type IdRange,
  parseIdMap,
  runsInUserNamespace,
  writeIdMappings,
} from "../../../src/linux/user-namespace.ts";
import { SystemCallError } from "../../../src/util/errors.ts";

function range(containerID: number, hostID: number, size: number): IdRange {
  return { containerID, hostID, size };
}

const two = [range(0, 1000, 1), range(1, 100_000, 65_535)];

test("mappings are written as the kernel's files have them", () => {
  expect(idMapText(two)).toBe("0 1000 1\n1 100000 65535\n");
});

test("and read as they are there", () => {
  expect(parseIdMap("         0       1000          1\n         1     100000      65535\n")).toEqual(two);
  expect(parseIdMap("")).toEqual([]);
  expect(idMappingsOf(process.pid)?.uids.length).toBeGreaterThan(0);
  expect(idMappingsOf(2 ** 22 + 1)).toBeUndefined();
});

test.each([
  [0, 1000],
  [1, 100_000],
  [65_535, 165_534],
  [65_536, undefined],
])("the container's ID %p is the host's %p", (id, expected) => {
  expect(hostIdOf(id, two)).toBe(expected);
});

describe("mappings that the kernel would refuse", () => {
  const many = Array.from({ length: 341 }, (_, index) => range(index, index, 1));
  const long = Array.from({ length: 200 }, (_, index) => range(4_000_000_000 + index, 4_000_000_000 + index, 1));
  test.each<[string, IdRange[], string]>([
    ["none", [], "linux.uidMappings: a user namespace needs at least one mapping"],
    ["too many", many, "linux.uidMappings: 341 mappings, the kernel takes 340"],
    ["too long", long, "linux.uidMappings: longer than the page of memory"],
    ["empty", [range(0, 0, 0)], "linux.uidMappings[0].size: 0 maps nothing"],
    ["negative", [range(-1, 0, 1)], "linux.uidMappings[0].containerID: -1 is no number of 32 bits"],
    ["broken", [range(0, 1.5, 1)], "linux.uidMappings[0].hostID: 1.5 is no number of 32 bits"],
    ["the ID that is none", [range(0, 0xffff_fffe, 2)], "linux.uidMappings[0]: 2 IDs from hostID 4294967294 on go"],
    ["twice in the container", [range(0, 0, 5), range(4, 9, 1)], "linux.uidMappings[1].containerID: overlaps with"],
    ["twice on the host", [range(0, 0, 5), range(5, 4, 1)], "linux.uidMappings[1].hostID: overlaps with"],
  ])("%s", (_, mappings, message) => {
    expect(() => checkIdMappings(mappings, "linux.uidMappings")).toThrow(message);
  });

  test("all others are taken", () => {
    checkIdMappings(two, "linux.uidMappings");
    checkIdMappings([range(1, 0, 5)], "mounts[0].uidMappings");
    checkIdMappings([range(0, 0, 0xffff_ffff)], "linux.gidMappings");
    checkIdMappings(many.slice(1, 341), "linux.uidMappings");
  });
});

test("the kernel's refusal is told with what it was about", () => {
  // gocker's own user namespace is mapped already.
  const attempt = () => writeIdMappings(process.pid, two, two);
  expect(attempt).toThrow(SystemCallError);
  expect(attempt).toThrow(`map the IDs of the user namespace: write /proc/${process.pid}/uid_map: `);
});

test("the host's first user namespace maps everything to itself", () => {
  expect(runsInUserNamespace("         0          0 4294967295\n")).toBe(false);
  expect(runsInUserNamespace("         0       1000          1\n")).toBe(true);
  expect(runsInUserNamespace("")).toBe(true);
});
