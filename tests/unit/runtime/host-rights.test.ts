import { expect, test } from "bun:test";
import type { RuntimeSpec } from "../../../src/oci/runtime-spec.ts";
import { refuseWhatTakesRoot } from "../../../src/runtime/host-rights.ts";
import { minimalSpec } from "../../helpers/plan.ts";

const user = { uid: 1000, gid: 1000 };
const namespace = (path: string) => ({ type: 0, isOwn: path === "/own" });
const refuse = (spec: RuntimeSpec, systemdCgroup = false) =>
  refuseWhatTakesRoot(spec, user, { systemdCgroup, namespace });
const withUsers = (change: Partial<RuntimeSpec> = {}, path?: string) =>
  minimalSpec({
    ...change,
    linux: { namespaces: [{ type: "user", ...(path !== undefined && { path }) }], ...change.linux },
  });

test("without root a user namespace is needed, a new one or another's", () => {
  const message = "linux.namespaces: without root, a container needs a user namespace of its own";
  expect(() => refuse(minimalSpec())).toThrow(message);
  expect(() => refuse(withUsers({}, "/own"))).toThrow(message);
  refuse(withUsers());
  refuse(withUsers({}, ""));
  refuse(withUsers({}, "/others"));
});

test("what only root can do is refused by its name", () => {
  expect(() => refuse(withUsers(), true)).toThrow("--systemd-cgroup needs root");
  const linux = { namespaces: [{ type: "user" as const }], netDevices: { eth0: {} } };
  expect(() => refuse(withUsers({ linux }))).toThrow("linux.netDevices: ");
  const mounts = [
    { destination: "/a", type: "tmpfs", source: "tmpfs" },
    { destination: "/b", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup"] },
  ];
  expect(() => refuse(withUsers({ mounts }))).toThrow("mounts[1]: ");
});

test("root may do all of it", () => {
  refuseWhatTakesRoot(minimalSpec(), { uid: 0, gid: 0 }, { systemdCgroup: true, namespace });
});
