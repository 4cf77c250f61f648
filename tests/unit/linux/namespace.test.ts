import { expect, test } from "bun:test";
import { CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID } from "../../../src/linux/constants.ts";
import { namespaceAt } from "../../../src/linux/namespace.ts";

test("a namespace tells its type, and whether it is gocker's own", async () => {
  expect(namespaceAt("/proc/self/ns/net")).toEqual({ type: CLONE_NEWNET, isOwn: true });
  expect(namespaceAt("/proc/self/ns/pid")).toEqual({ type: CLONE_NEWPID, isOwn: true });
  const other = Bun.spawn(["unshare", "--user", "--mount", "sh", "-c", "echo ready; exec cat"], {
    stdin: "pipe",
    stdout: "pipe",
  });
  await other.stdout.getReader().read();
  expect(namespaceAt(`/proc/${other.pid}/ns/mnt`)).toEqual({ type: CLONE_NEWNS, isOwn: false });
  expect(namespaceAt(`/proc/${other.pid}/ns/net`)).toEqual({ type: CLONE_NEWNET, isOwn: true });
  await other.stdin.end();
  await other.exited;
});

test("what is none is told apart from what is not there", () => {
  expect(namespaceAt("/proc/self/status")).toBeUndefined();
  expect(namespaceAt("/dev/null")).toBeUndefined();
  expect(namespaceAt("/proc/self/ns/weather")).toBe("missing");
});
