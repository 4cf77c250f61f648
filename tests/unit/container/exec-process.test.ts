import { describe, expect, test } from "bun:test";

import { buildExecProcess, type ExecWishes } from "../../../src/container/exec-process.ts";
import type { ContainerRecord } from "../../../src/container/record.ts";
import { buildRuntimeSpec } from "../../../src/container/spec.ts";
import { type ContainerUser, UnknownUserError, type UserDatabase } from "../../../src/container/user.ts";
import { capabilityMask, defaultCapabilities } from "../../../src/linux/capabilities.ts";
import type { Process, RuntimeSpec } from "../../../src/oci/runtime-spec.ts";
import { hostFacts, imageConfig, runOptions } from "../../helpers/container.ts";

const database: UserDatabase = {
  passwd: "root:x:0:0::/root:/bin/sh\nwww:x:33:33::/var/www:/bin/sh\n",
  group: "root:x:0:\nwww:x:33:\nlog:x:40:www\nextra:x:50:\n",
};

const root: ContainerUser = { uid: 0, gid: 0, additionalGids: [0, 7], home: "/root" };

/** The specification of a container with a terminal, as it was made. */
function specOf(user: ContainerUser = root): RuntimeSpec {
  return buildRuntimeSpec({
    id: "a".repeat(64),
    image: imageConfig({ Cmd: ["server"], WorkingDir: "/srv" }),
    options: runOptions({ terminal: true, noNewPrivileges: true, ulimits: [{ name: "nofile", soft: 10, hard: 20 }] }),
    environment: [],
    user,
    volumes: [],
    rootPath: "rootfs",
    host: hostFacts(),
    consoleSize: { height: 24, width: 80 },
  });
}

function build(
  wishes: Partial<ExecWishes> = {},
  record: Pick<ContainerRecord, "user" | "groupAdd" | "environment"> = {},
  spec = specOf(),
): Process {
  return buildExecProcess({
    wishes: { command: ["sh"], terminal: false, environment: [], privileged: false, ...wishes },
    record,
    spec,
    database,
    availableCapabilities: capabilityMask(["CAP_CHOWN", "CAP_SYS_ADMIN"]),
    consoleSize: { height: 50, width: 100 },
  });
}

test("what holds the container's own process holds this one", () => {
  const { rlimits, noNewPrivileges, capabilities, cwd, args, consoleSize } = build({ command: ["ls", "-l"] });
  expect({ rlimits, noNewPrivileges, capabilities, cwd, args, consoleSize }).toEqual({
    rlimits: specOf().process?.rlimits,
    noNewPrivileges: true,
    capabilities: {
      bounding: [...defaultCapabilities],
      effective: [...defaultCapabilities],
      permitted: [...defaultCapabilities],
      inheritable: [],
      ambient: [],
    },
    cwd: "/srv",
    args: ["ls", "-l"],
    consoleSize: undefined,
  });
});

test("the terminal has the size of the caller's", () => {
  expect(build({ terminal: true })).toMatchObject({ terminal: true, consoleSize: { height: 50, width: 100 } });
});

describe("the user", () => {
  test("is the container's as it was made, when nobody has named one", () => {
    expect(build().user).toEqual({ uid: 0, gid: 0, additionalGids: [0, 7] });
  });

  test("is looked up anew when the container's has a name", () => {
    const spec = specOf({ uid: 33, gid: 33, additionalGids: [33], home: "/old" });
    const process = build({}, { user: "www", groupAdd: ["extra"], environment: [] }, spec);
    expect(process.user).toEqual({ uid: 33, gid: 33, additionalGids: [33, 40, 50] });
    expect(process.env).toContain("HOME=/var/www");
    expect(process.capabilities).toMatchObject({ bounding: [...defaultCapabilities], effective: [], permitted: [] });
  });

  test("is another one, with the container's further groups", () => {
    expect(build({ user: "33:log" }, { user: "0", groupAdd: ["50"] }).user).toEqual({
      uid: 33,
      gid: 40,
      additionalGids: [40, 50],
    });
    expect(build({ user: "0" }, { user: "www" }, specOf({ ...root, uid: 33 })).capabilities?.effective).toEqual([
      ...defaultCapabilities,
    ]);
  });

  test("must be known", () => {
    expect(() => build({ user: "nosuch" })).toThrow(UnknownUserError);
  });
});

describe("the environment", () => {
  const record = { environment: ["PATH=/image", "A=image", "B=image", "B", "HOSTNAME=own"] };

  test("is the container's configuration, and what is asked for", () => {
    expect(build({ environment: ["A=mine", "C=mine"] }, record).env).toEqual([
      "PATH=/image",
      "HOSTNAME=own",
      "A=mine",
      "C=mine",
      "HOME=/root",
    ]);
  });

  test("has TERM with a terminal of its own only", () => {
    expect(build({}, record).env?.some((entry) => entry.startsWith("TERM="))).toBe(false);
    expect(build({ terminal: true }, record).env).toContain("TERM=xterm");
    expect(build({ terminal: true, environment: ["TERM=vt100"] }, record).env).toContain("TERM=vt100");
  });

  test("has the home directory of the user, unless it was set", () => {
    expect(build({ user: "www" }, record).env).toContain("HOME=/var/www");
    expect(build({ user: "4" }, record).env).toContain("HOME=/");
    expect(build({ user: "www", environment: ["HOME=/mine"] }, record).env).toContain("HOME=/mine");
  });

  test("of a container whose record has none is that of its first process", () => {
    expect(build({}, {}).env).toEqual(specOf().process?.env as string[]);
  });
});

test("a privileged one has all capabilities that there are, another user's only for what it executes", () => {
  const all = ["CAP_CHOWN", "CAP_SYS_ADMIN"];
  expect(build({ privileged: true }).capabilities).toMatchObject({ bounding: all, effective: all, permitted: all });
  expect(build({ privileged: true, user: "www" }).capabilities).toMatchObject({ bounding: all, effective: [] });
});

test("the working directory is the one that is asked for", () => {
  expect(build({ workingDirectory: "/etc" }).cwd).toBe("/etc");
});
