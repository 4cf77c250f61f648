import { expect, test } from "bun:test";
import type { DeviceCgroupRule } from "../../../../src/oci/runtime-spec.ts";
import { normaliseDeviceRules } from "../../../../src/runtime/cgroup/devices/rules.ts";
import { deviceProperties } from "../../../../src/runtime/cgroup/devices/systemd.ts";
import { deviceRules } from "../../../../src/runtime/default-devices.ts";

const properties = (rules: readonly DeviceCgroupRule[]) => deviceProperties(normaliseDeviceRules(rules));
const expected = (policy: string, allowed: readonly unknown[]): unknown[] => [
  ["DevicePolicy", { signature: "s", value: policy }],
  ["DeviceAllow", { signature: "a(ss)", value: allowed }],
];

test("a list of what is allowed", () => {
  const rules = deviceRules([{ allow: false }, { allow: true, type: "b", major: 8, access: "r" }]);
  expect(properties(rules) as unknown[]).toEqual(
    expected("strict", [
      ["block-8", "r"],
      ["char-*", "m"],
      ["block-*", "m"],
      ["/dev/char/1:3", "rwm"],
      ["/dev/char/1:5", "rwm"],
      ["/dev/char/1:7", "rwm"],
      ["/dev/char/5:0", "rwm"],
      ["/dev/char/1:8", "rwm"],
      ["/dev/char/1:9", "rwm"],
      ["char-136", "rwm"],
      ["/dev/char/5:2", "rwm"],
    ]),
  );
});

test("everything, and what systemd has no word for", () => {
  expect(properties(deviceRules([{ allow: true, access: "rwm" }])) as unknown[]).toEqual(expected("auto", []));
  expect(properties([{ allow: true, type: "c", minor: 3, access: "r" }]) as unknown[]).toEqual(expected("strict", []));
});

test("all but one is refused: systemd would allow that one too", () => {
  const rules: DeviceCgroupRule[] = [
    { allow: true, access: "rwm" },
    { allow: false, type: "c", major: 10, minor: 200, access: "rwm" },
  ];
  expect(() => properties(rules)).toThrow("linux.resources.devices denies single devices");
});
