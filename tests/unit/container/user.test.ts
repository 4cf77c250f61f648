import { describe, expect, test } from "bun:test";
import { readUserDatabase, resolveUser, UnknownUserError, type UserDatabase } from "../../../src/container/user.ts";
import { UsageError } from "../../../src/util/errors.ts";

const database: UserDatabase = {
  passwd: `root:x:0:0:root:/root:/bin/sh
# a comment
broken
half:x:0
nan:x:zero:0::/:
:x:5:5::/:
huge:x:99999999999:0::/:
www:x:33:34:www:/var/www:/bin/false
twin:x:33:35::/twin:
homeless:x:40:40
1000:x:7:7::/seven:
`,
  group: `root:x:0:root
wheel:x:10:root,www
bad:x:ten:www
audio:x:29:other,www
same:x:34:www
33:x:77:
video:x:44:
`,
};

describe("resolveUser", () => {
  test.each<[specification: string, uid: number, gid: number, groups: number[], home: string]>([
    ["", 0, 0, [0, 10], "/root"],
    ["root", 0, 0, [0, 10], "/root"],
    ["0", 0, 0, [0, 10], "/root"],
    ["www", 33, 34, [34, 10, 29], "/var/www"],
    ["33", 33, 34, [34, 10, 29], "/var/www"],
    ["twin", 33, 35, [35], "/twin"],
    ["www:video", 33, 44, [44], "/var/www"],
    ["www:44", 33, 44, [44], "/var/www"],
    ["33:video", 33, 44, [44], "/var/www"],
    ["www:", 33, 34, [34, 10, 29], "/var/www"],
    [":video", 0, 44, [44], "/root"],
    ["1000", 1000, 0, [0], "/"],
    ["1000:33", 1000, 33, [33], "/"],
    ["homeless", 40, 40, [40], "/"],
    ["+5", 5, 0, [0], "/"],
    ["2147483647", 2147483647, 0, [0], "/"],
  ])("%j", (specification, uid, gid, groups, home) => {
    expect(resolveUser(specification, [], database)).toMatchObject({ uid, gid, additionalGids: groups, home });
  });

  test("groups are added by name and number, each once", () => {
    expect(resolveUser("www:video", ["audio", "44", "4242", "audio"], database).additionalGids).toEqual([44, 29, 4242]);
  });

  test.each(["nobody", "nobody:root", "www:nogroup", "half", "nan", "huge", "bad", "# a comment"])(
    "unknown: %j",
    (specification) => {
      expect(() => resolveUser(specification, [], database)).toThrow(UnknownUserError);
    },
  );

  test.each(["-1", "2147483648", "99999999999999999999", "www:-1", "0:2147483648"])("out of range: %j", (text) => {
    expect(() => resolveUser(text, [], database)).toThrow(UsageError);
  });

  test("an unknown group to add is an error", () => {
    expect(() => resolveUser("", ["nogroup"], database)).toThrow(/unable to find group nogroup/);
  });

  test("without any database root and numbers still work", () => {
    const empty = { passwd: "", group: "" };
    expect(resolveUser("", [], empty)).toEqual({ uid: 0, gid: 0, additionalGids: [0], home: "/" });
    expect(() => resolveUser("root", [], empty)).toThrow(UnknownUserError);
  });
});

test("readUserDatabase reads what is there", () => {
  const files: Record<string, string> = { "/etc/passwd": "root:x:0:0::/r:" };
  const reader = { readFile: (path: string) => (files[path] === undefined ? undefined : Buffer.from(files[path])) };
  expect(readUserDatabase(reader)).toEqual({ passwd: "root:x:0:0::/r:", group: "" });
});
