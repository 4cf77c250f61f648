import { expect, test } from "bun:test";
import { defaultIdMappings } from "../../../src/runtime/subordinate-ids.ts";

const root = { uid: 0, gid: 0, name: "root" };

test("gocker's user is the root of a namespace without mappings, and the only one there", () => {
  const only = [{ containerID: 0, hostID: 0, size: 1 }];
  expect(defaultIdMappings(root, () => undefined)).toEqual({ uids: only, gids: only });
  expect(defaultIdMappings(root, () => "user:100000:65536\nroot:x:5\nroot:5:0\n")).toEqual({ uids: only, gids: only });
});

test("the others are those that the host lets it have", () => {
  const files: Record<string, string> = {
    "/etc/subuid": "user:100000:65536\nroot:200000:1000\nroot:300000:5\n",
    "/etc/subgid": "0:7:9\n",
  };
  expect(defaultIdMappings(root, (path) => files[path])).toEqual({
    uids: [
      { containerID: 0, hostID: 0, size: 1 },
      { containerID: 1, hostID: 200_000, size: 1000 },
    ],
    gids: [
      { containerID: 0, hostID: 0, size: 1 },
      { containerID: 1, hostID: 7, size: 9 },
    ],
  });
});
