import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { AttackGround, canAttack } from "../helpers/attack.ts";

// A container that sees the host's processes, or another container's, must get no further by them than to see them.

let ground: AttackGround;
beforeAll(async () => {
  if (!canAttack) return;
  ground = await AttackGround.create();
  await ground.load("plain", { layers: [[{ name: "placeholder", content: "" }]] });
});
afterAll(() => ground?.[Symbol.asyncDispose]());

/** Ways into a process, each of which says its name when it is open. */
const ways = (pid: string) => `
cat /proc/${pid}/exe >/dev/null 2>&1 && echo exe
readlink /proc/${pid}/fd/0 >/dev/null && echo fd
ls /proc/${pid}/root/ >/dev/null 2>&1 && echo root
ls /proc/${pid}/cwd/ >/dev/null 2>&1 && echo cwd
cat /proc/${pid}/environ >/dev/null 2>&1 && echo environ
(: <>/proc/${pid}/mem) 2>/dev/null && echo mem
readlink /proc/${pid}/ns/mnt >/dev/null && echo ns
nsenter -t ${pid} -m true 2>/dev/null && echo entered
true;`;

const container = ["run", "--rm", "--network", "none"];

describe.skipIf(!canAttack)("a container that sees the host's processes", () => {
  test("cannot get at gocker, nor at the host's first process, by /proc", async () => {
    const script = `cat /proc/$PPID/comm; ${ways("$PPID")} ${ways("1")} echo itself; ${ways("$$")}`;
    const { stdout, exitCode } = await ground.gocker([...container, "--pid", "host", "plain", "sh", "-c", script]);
    // Its parent is gocker, which is in view. Into itself every way leads: they are ways.
    const open = ["exe", "fd", "root", "cwd", "environ", "mem", "ns"];
    expect({ stdout, exitCode }).toEqual({ stdout: ["gocker", "itself", ...open, ""].join("\n"), exitCode: 0 });
  });

  test("has /proc covered as others have", async () => {
    const script = "(: >>/proc/sys/kernel/core_pattern) 2>/dev/null && echo open; wc -c </proc/keys; true";
    const { stdout } = await ground.gocker([...container, "--pid", "host", "plain", "sh", "-c", script]);
    expect(stdout.trim()).toBe("0");
  });
});
