import { describe, expect, test } from "bun:test";
import {
  checkIdMappings,
  checkMappedUser,
  hostIdOf,
  idMapText,
  type IdRange,
  isMapped,
  parseIdMap,
  writeIdMappings,
} from "../../../src/linux/user-namespace.ts";
import { SystemCallError } from "../../../src/util/errors.ts";

function range(containerID: number, hostID: number, size: number): IdRange {
  return { containerID, hostID, size };
}

const two = [range(0, 1000, 1), range(1, 100_000, 65_535)];

test("IDs of a container are those of the host by their range", () => {
  expect([0, 1, 65_535].map((id) => hostIdOf(id, two))).toEqual([1000, 100_000, 165_534]);
  expect(hostIdOf(65_536, two)).toBeUndefined();
  expect(isMapped(65_535, two)).toBe(true);
  expect(isMapped(65_536, two)).toBe(false);
  expect(isMapped(0, [])).toBe(false);
});

test("mappings are written and read as the kernel's files have them", () => {
  expect(idMapText(two)).toBe("0 1000 1\n1 100000 65535\n");
  expect(parseIdMap("         0       1000          1\n         1     100000      65535\n")).toEqual(two);
  expect(parseIdMap("")).toEqual([]);
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
    ["no root", [range(1, 0, 5)], "linux.uidMappings: the container's ID 0 is not mapped"],
  ])("%s", (_, mappings, message) => {
    expect(() => checkIdMappings(mappings, "linux.uidMappings", { root: true })).toThrow(message);
  });

  test("all others are taken", () => {
    checkIdMappings(two, "linux.uidMappings", { root: true });
    checkIdMappings([range(1, 0, 5)], "mounts[0].uidMappings");
    checkIdMappings([range(0, 0, 0xffff_ffff)], "linux.gidMappings");
    checkIdMappings(many.slice(1, 341), "linux.uidMappings");
  });
});

test("a user that the namespace does not have is refused", () => {
  const mappings = { uidMappings: two, gidMappings: [range(0, 0, 1)] };
  const check = (uid: number, gid: number, additionalGids: number[] = []) => {
    return () => checkMappedUser({ uid, gid, additionalGids }, mappings);
  };
  expect(check(65_535, 0, [0])).not.toThrow();
  expect(check(65_536, 0)).toThrow("process.user.uid: 65536 is not in linux.uidMappings");
  expect(check(0, 1)).toThrow("process.user.gid: 1 is not in linux.gidMappings");
  expect(check(0, 0, [0, 7])).toThrow("process.user.additionalGids[1]: 7 is not in linux.gidMappings");
});

test("the kernel's refusal is told with what it was about", () => {
  // gocker's own user namespace is mapped already.
  const attempt = () => writeIdMappings(process.pid, two, two);
  expect(attempt).toThrow(SystemCallError);
  expect(attempt).toThrow(`map the IDs of the user namespace: write /proc/${process.pid}/uid_map: `);
});
