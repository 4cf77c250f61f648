import { expect, test } from "bun:test";
import type { Linux, User } from "../../../src/oci/runtime-spec.ts";
import { checkMappedUser, prepareUsers } from "../../../src/runtime/users.ts";
import { minimalSpec } from "../../helpers/plan.ts";

const ranges = [{ containerID: 0, hostID: 100_000, size: 1000 }];
const mappings = { uids: ranges, gids: ranges };

test.each<[User, string]>([
  [{ uid: 1000, gid: 0 }, "process.user.uid: 1000 is not in linux.uidMappings"],
  [{ uid: 0, gid: 2000 }, "process.user.gid: 2000 is not in linux.gidMappings"],
  [{ uid: 0, gid: 0, additionalGids: [5, 1000] }, "process.user.additionalGids[1]: 1000 is not in linux.gidMappings"],
])("%j is nobody in there", (user, message) => {
  expect(() => checkMappedUser(user, mappings)).toThrow(message);
  checkMappedUser({ uid: 999, gid: 0, additionalGids: [1] }, mappings);
});

test.each<[Linux, string]>([
  [{ uidMappings: ranges }, "linux.uidMappings: there is no user namespace in linux.namespaces that has them"],
  [{ gidMappings: ranges }, "linux.gidMappings: there is no user namespace in linux.namespaces that has them"],
  [
    { namespaces: [{ type: "user" }], gidMappings: ranges },
    "linux.uidMappings: a user namespace needs at least one mapping",
  ],
  [
    { namespaces: [{ type: "user" }], uidMappings: ranges, gidMappings: [{ containerID: 5, hostID: 5, size: 5 }] },
    "linux.gidMappings: the container's ID 0 is not mapped, which sets it up",
  ],
  [
    {
      namespaces: [{ type: "user" }],
      uidMappings: ranges,
      gidMappings: ranges,
      devices: [{ path: "/dev/null", type: "c", major: 1, minor: 5 }],
    },
    "/dev/null is not this device on the host, and in a user namespace none can be made",
  ],
])("%j is refused before anything is made", async (linux, message) => {
  await expect(prepareUsers(minimalSpec({ linux }))).rejects.toThrow(message);
});

test("gocker's own, by its path, is none", async () => {
  const linux: Linux = { namespaces: [{ type: "user", path: "/proc/self/ns/user" }] };
  expect(await prepareUsers(minimalSpec({ linux }))).toBeUndefined();
});
