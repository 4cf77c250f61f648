import { expect, test } from "bun:test";
import type { Seccomp } from "../../../../src/oci/runtime-spec.ts";
import { listenerOf, notifies } from "../../../../src/runtime/seccomp/listener.ts";

const notifying: Seccomp = {
  defaultAction: "SCMP_ACT_ALLOW",
  syscalls: [
    { names: ["read"], action: "SCMP_ACT_ALLOW" },
    { names: ["mkdir"], action: "SCMP_ACT_NOTIFY" },
  ],
};

test("only a rule that notifies needs somebody to be asked", () => {
  const whole = { ...notifying, listenerPath: "/run/agent", listenerMetadata: "x" };
  expect(listenerOf(whole)).toEqual({ path: "/run/agent", metadata: "x" });
  expect(listenerOf({ ...notifying, listenerPath: "/run/agent" })).toEqual({ path: "/run/agent", metadata: undefined });
  expect(listenerOf({ ...whole, syscalls: [] })).toBeUndefined();
  expect(listenerOf({ defaultAction: "SCMP_ACT_ALLOW" })).toBeUndefined();
  expect(listenerOf(undefined)).toBeUndefined();
});

test("one property without the other is refused", () => {
  expect(() => listenerOf(notifying)).toThrow("linux.seccomp.listenerPath is missing: SCMP_ACT_NOTIFY needs");
  expect(() => listenerOf({ defaultAction: "SCMP_ACT_ALLOW", listenerMetadata: "x" })).toThrow(
    "linux.seccomp.listenerMetadata must not be set without linux.seccomp.listenerPath",
  );
});

test("a filter's flags tell whether it notifies", () => {
  const program = new Uint8Array(8);
  expect([undefined, { program, flags: 4 }, { program, flags: 12 }].map(notifies)).toEqual([false, false, true]);
});
