import { describe, expect, test } from "bun:test";
import {
  MOUNT_ATTR_NOATIME,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NODIRATIME,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_NOSYMFOLLOW,
  MOUNT_ATTR_RDONLY,
  MOUNT_ATTR_STRICTATIME,
  MOUNT_ATTR__ATIME,
  MS_PRIVATE,
  MS_SHARED,
  MS_SLAVE,
  MS_UNBINDABLE,
} from "../../../src/linux/constants.ts";
import {
  clearedOfBind,
  type MountOptions,
  needsPreparation,
  parseMountOptions,
} from "../../../src/runtime/mount-options.ts";
import { InvalidDocumentError } from "../../../src/util/errors.ts";

const nothing: MountOptions = {
  set: 0,
  clear: 0,
  recursiveSet: 0,
  recursiveClear: 0,
  propagations: [],
  data: [],
};

/** The table of the OCI runtime specification 1.2, config.md, "Linux mount options": what each option sets and clears. */
const attributes: [option: string, set: number, clear: number][] = [
  ["atime", 0, MOUNT_ATTR__ATIME],
  ["noatime", MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME],
  ["dev", 0, MOUNT_ATTR_NODEV],
  ["nodev", MOUNT_ATTR_NODEV, 0],
  ["diratime", 0, MOUNT_ATTR_NODIRATIME],
  ["nodiratime", MOUNT_ATTR_NODIRATIME, 0],
  ["exec", 0, MOUNT_ATTR_NOEXEC],
  ["noexec", MOUNT_ATTR_NOEXEC, 0],
  ["relatime", 0, MOUNT_ATTR__ATIME],
  ["norelatime", 0, MOUNT_ATTR__ATIME],
  ["strictatime", MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME],
  ["nostrictatime", 0, MOUNT_ATTR__ATIME],
  ["suid", 0, MOUNT_ATTR_NOSUID],
  ["nosuid", MOUNT_ATTR_NOSUID, 0],
  ["symfollow", 0, MOUNT_ATTR_NOSYMFOLLOW],
  ["nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0],
  ["ro", MOUNT_ATTR_RDONLY, 0],
  ["rw", 0, MOUNT_ATTR_RDONLY],
];

describe("the specification's options", () => {
  test.each(attributes)("%s is an attribute of the mount", (option, set, clear) => {
    expect(parseMountOptions([option])).toEqual({ ...nothing, set, clear });
  });

  test.each(attributes)("r%s is the same for everything below", (option, recursiveSet, recursiveClear) => {
    expect(parseMountOptions([`r${option}`])).toEqual({ ...nothing, recursiveSet, recursiveClear });
  });

  test.each([
    ["private", MS_PRIVATE],
    ["shared", MS_SHARED],
    ["slave", MS_SLAVE],
    ["unbindable", MS_UNBINDABLE],
  ])("%s and r%s are propagations", (option, type) => {
    const one = { ...nothing, propagations: [{ type, recursive: false }] };
    expect(parseMountOptions([option])).toEqual(one);
    expect(parseMountOptions([`r${option}`])).toEqual({ ...nothing, propagations: [{ type, recursive: true }] });
  });

  test("bind and rbind", () => {
    expect(parseMountOptions(["bind"])).toEqual({ ...nothing, bind: "bind" });
    expect(parseMountOptions(["rbind"])).toEqual({ ...nothing, bind: "rbind" });
    // The mounts below come too, whatever the order.
    expect(parseMountOptions(["rbind", "bind"])).toEqual({ ...nothing, bind: "rbind" });
    expect(parseMountOptions(["bind", "rbind"])).toEqual({ ...nothing, bind: "rbind" });
  });

  test("remount", () => {
    expect(parseMountOptions(["bind", "remount", "ro"])).toEqual({
      ...nothing,
      bind: "bind",
      remount: true,
      set: MOUNT_ATTR_RDONLY,
    });
  });

  test.each(["defaults", "async", "silent", "loud", "iversion", "noiversion", "nomand", "nolazytime"])(
    "%s changes nothing",
    (option) => {
      expect(parseMountOptions([option])).toEqual(nothing);
    },
  );

  test.each(["sync", "dirsync", "lazytime", "mand"])("%s is for the file system, as a flag", (option) => {
    expect(parseMountOptions([option])).toEqual({ ...nothing, data: [option] });
  });

  test.each(["idmap", "ridmap"] as const)("%s is about the owners of files", (option) => {
    expect(parseMountOptions([option])).toEqual({ ...nothing, idMap: option });
    expect(needsPreparation({ destination: "/", options: [option] })).toBe(true);
  });

  test("tmpcopyup", () => {
    expect(parseMountOptions(["tmpcopyup", "size=1m"])).toEqual({ ...nothing, copyUp: true, data: ["size=1m"] });
    expect(needsPreparation({ destination: "/", type: "tmpfs", options: ["tmpcopyup"] })).toBe(true);
  });

  test.each(["idmap=uids=0-1-10;gids=0-1-10", "ridmap=uids=0-1-10"])("%s is refused", (option) => {
    expect(() => parseMountOptions(["ro", option])).toThrow(InvalidDocumentError);
  });
});

test("what is no word of the specification's is the file system's own, in order", () => {
  expect(parseMountOptions(["size=64m", "nosuid", "mode=1777", "huge=never", "read", "rsize=1"])).toEqual({
    ...nothing,
    set: MOUNT_ATTR_NOSUID,
    data: ["size=64m", "mode=1777", "huge=never", "read", "rsize=1"],
  });
});

test("mappings need a user namespace, whatever the options", () => {
  const mappings = [{ containerID: 0, hostID: 1, size: 1 }];
  expect(needsPreparation({ destination: "/", uidMappings: mappings })).toBe(true);
  expect(needsPreparation({ destination: "/", gidMappings: mappings })).toBe(true);
  expect(needsPreparation({ destination: "/", options: ["rbind"], uidMappings: [], gidMappings: [] })).toBe(false);
});

test("the last of options that contradict each other wins", () => {
  expect(parseMountOptions(["ro", "rw"])).toMatchObject({ set: 0, clear: MOUNT_ATTR_RDONLY });
  expect(parseMountOptions(["rw", "ro"])).toMatchObject({ set: MOUNT_ATTR_RDONLY, clear: 0 });
  expect(parseMountOptions(["noatime", "relatime"])).toMatchObject({ set: 0, clear: MOUNT_ATTR__ATIME });
  expect(parseMountOptions(["strictatime", "noatime"])).toMatchObject({
    set: MOUNT_ATTR_NOATIME,
    // mount_setattr(2) takes all of these bits together.
    clear: MOUNT_ATTR__ATIME,
  });
});

const restrictions =
  MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSYMFOLLOW;

test.each<[string[], number, number]>([
  [[], 0, 0],
  [["rprivate", "noatime"], restrictions | MOUNT_ATTR__ATIME, MOUNT_ATTR_NOSYMFOLLOW | MOUNT_ATTR__ATIME],
  [["ro"], restrictions & ~MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSYMFOLLOW],
  [["dev"], restrictions, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSYMFOLLOW],
  [["nosymfollow", "rro"], restrictions & ~MOUNT_ATTR_NOSYMFOLLOW, 0],
])(
  "a bind mount with %j has no other of its source's restrictions, where they are not locked",
  (words, all, locked) => {
    expect(clearedOfBind(parseMountOptions(words))).toEqual({ all, ifLocked: locked });
  },
);

test("propagations are set one after the other", () => {
  expect(parseMountOptions(["rslave", "shared"]).propagations).toEqual([
    { type: MS_SLAVE, recursive: true },
    { type: MS_SHARED, recursive: false },
  ]);
});
