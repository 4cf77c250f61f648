import { expect, test } from "bun:test";
import type { Device } from "../../../src/oci/runtime-spec.ts";
import { checkHostDevices } from "../../../src/runtime/host-devices.ts";

test("only the host's own nodes of the same devices stand for those of a container", () => {
  const check = (change: Partial<Device>) => () =>
    checkHostDevices([
      { path: "/fifo", type: "p" },
      { path: "/dev/null", type: "c", major: 1, minor: 3, ...change },
    ]);
  expect(check({})).not.toThrow();
  expect(check({ type: "u" })).not.toThrow();
  const message = (path: string) => `linux.devices[1]: ${path} is not this device on the host`;
  expect(check({ minor: 5 })).toThrow(message("/dev/null"));
  expect(check({ type: "b" })).toThrow(message("/dev/null"));
  expect(check({ path: "/etc/passwd" })).toThrow(message("/etc/passwd"));
  expect(check({ path: "/etc/passwd", major: 0, minor: 0 })).toThrow(message("/etc/passwd"));
  expect(check({ path: "/dev/none" })).toThrow(message("/dev/none"));
});
