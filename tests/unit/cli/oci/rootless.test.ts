import { expect, test } from "bun:test";
import { chmodSync, mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isCallRootless, parseRootless } from "../../../../src/cli/oci/rootless.ts";
import { givenStateRoot, makePrivate, placeOfStates } from "../../../../src/cli/oci/state-root.ts";
import { TemporaryDirectory } from "../../../helpers/temporary.ts";

const root = { isRoot: true, isInUserNamespace: false };
const nested = { isRoot: true, isInUserNamespace: true };
const user = { isRoot: false, isInUserNamespace: false };

test("--rootless takes runc's truths, and auto", () => {
  expect(["auto", "", "AUTO"].map(parseRootless)).toEqual(["auto", "auto", "auto"]);
  expect(["true", "1", "T"].map(parseRootless)).toEqual([true, true, true]);
  expect(["false", "0", "F"].map(parseRootless)).toEqual([false, false, false]);
  expect(() => parseRootless("yes")).toThrow('--rootless must be true, false or auto, not "yes"');
});

test("auto: for who is not the host's root", () => {
  expect([root, nested, user].map((caller) => isCallRootless("auto", caller))).toEqual([false, true, true]);
  expect([root, user].map((caller) => isCallRootless(true, caller))).toEqual([true, true]);
  expect([root, user].map((caller) => isCallRootless(false, caller))).toEqual([false, false]);
});

test("states are kept where the caller has a place of its own", () => {
  const session = { XDG_RUNTIME_DIR: "/run/user/7" };
  expect(placeOfStates(session, root, 0)).toEqual({ path: "/run/gocker", isUsers: false });
  expect(placeOfStates({}, nested, 0)).toEqual({ path: "/run/gocker", isUsers: false });
  expect(placeOfStates(session, user, 7)).toEqual({ path: "/run/user/7/gocker", isUsers: true });
  expect(placeOfStates(session, nested, 0)).toEqual({ path: "/run/user/7/gocker", isUsers: true });
  expect(placeOfStates({ ...session, USER: "root" }, nested, 0)).toEqual({ path: "/run/gocker", isUsers: false });
  expect(placeOfStates({}, user, 7)).toEqual({ path: "/tmp/gocker-7", isUsers: true });
  expect(placeOfStates({ XDG_RUNTIME_DIR: "run" }, user, 7)).toEqual({ path: "/tmp/gocker-7", isUsers: true });
  expect(placeOfStates({ ...session, GOCKER_STATE: "/s" }, user, 7)).toEqual({ path: "/s", isUsers: false });
});

test("--root is absolute, whatever the directory is later", () => {
  expect(givenStateRoot("/r")).toBe("/r");
  expect(givenStateRoot("r")).toBe(`${process.cwd()}/r`);
  expect(givenStateRoot("")).toBeUndefined();
  expect(givenStateRoot(undefined)).toBeUndefined();
});

test("a place that others could change is not taken", () => {
  using directory = new TemporaryDirectory("states");
  const uid = process.getuid?.() ?? 0;
  const path = (name: string) => join(directory.path, name);
  makePrivate(path("new"), uid);
  expect(statSync(path("new")).mode & 0o7777).toBe(0o1700);
  makePrivate(path("new"), uid);
  expect(() => makePrivate(path("new"), uid + 1)).toThrow("which is another user's, or others may write to it");
  mkdirSync(path("open"));
  chmodSync(path("open"), 0o777);
  expect(() => makePrivate(path("open"), uid)).toThrow("which is another user's, or others may write to it");
  symlinkSync(path("new"), path("link"));
  expect(() => makePrivate(path("link"), uid)).toThrow("which is no directory");
  writeFileSync(path("file"), "");
  expect(() => makePrivate(path("file/below"), uid)).toThrow("cannot be kept in");
});
