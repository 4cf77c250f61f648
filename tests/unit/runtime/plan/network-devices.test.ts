import { describe, expect, test } from "bun:test";
import { isTemplate, type NetDevices, planDeviceMoves } from "../../../../src/runtime/plan/network-devices.ts";
import { minimalSpec, planOf } from "../../../helpers/plan.ts";

const plan = (devices: NetDevices | undefined) => planDeviceMoves(devices, new Set(["network", "mount"]));

test.each<[NetDevices, string]>([
  [{ "eth/0": {} }, "linux.netDevices.eth/0: no name of a network device"],
  [{ "": {} }, "linux.netDevices.: no name of a network device"],
  [{ "..": {} }, "linux.netDevices...: no name of a network device"],
  [{ eth0123456789abcd: {} }, "linux.netDevices.eth0123456789abcd: no name of a network device"],
  [{ "eth%d": {} }, "linux.netDevices.eth%d: no name of a network device"],
  [{ eth0: { name: "a b" } }, "linux.netDevices.eth0.name: a b is no name of a network device"],
  [{ eth0: { name: "%d%d" } }, "linux.netDevices.eth0.name: %d%d is no name of a network device"],
  [{ eth0: { name: "a%dc" } }, "linux.netDevices.eth0.name: a%dc is no name of a network device"],
  [{ eth0: { name: "eth0123456789a%d" } }, "linux.netDevices.eth0.name: eth0123456789a%d is no name"],
  [{ eth0: { name: "c" }, c: {} }, "linux.netDevices.c.name: c is the name of linux.netDevices.eth0 already"],
])("%j is refused", (devices, message) => {
  expect(() => plan(devices)).toThrow(message);
});

test("devices keep their names unless they get others, and those that the kernel numbers come last", () => {
  expect(plan(undefined)).toEqual([]);
  expect(plan({ a: { name: "eth%d" }, b: {}, c: { name: "" }, d: { name: "eth%d" }, e: { name: "eth0" } })).toEqual([
    { property: "linux.netDevices.b", name: "b", target: "b" },
    { property: "linux.netDevices.c", name: "c", target: "c" },
    { property: "linux.netDevices.e", name: "e", target: "eth0" },
    { property: "linux.netDevices.a", name: "a", target: "eth%d" },
    { property: "linux.netDevices.d", name: "d", target: "eth%d" },
  ]);
  expect(["eth%d", "eth0", "%d", "eth0123456789%d"].map(isTemplate)).toEqual([true, false, false, true]);
});

describe("in a plan", () => {
  const spec = (...types: ("network" | "mount")[]) =>
    minimalSpec({ linux: { namespaces: types.map((type) => ({ type })), netDevices: { eth0: { name: "lan0" } } } });

  test("they come at the pause before the root changes", () => {
    const { deviceMoves, steps } = planOf(spec("mount", "network"), { release: 30, startFifo: 20 });
    expect(deviceMoves).toEqual([{ property: "linux.netDevices.eth0", name: "eth0", target: "lan0" }]);
    const labels = steps.map(({ label }) => label);
    const pause = labels.indexOf("Let network devices come, and hooks do their part");
    expect(pause).toBeGreaterThan(labels.indexOf("Bring up the loopback, 127.0.0.1"));
    expect(steps.findIndex(({ syscall }) => syscall === "pivot_root")).toBeGreaterThan(pause);
  });

  test("without a network namespace, or without a pause, they are refused", () => {
    expect(() => planOf(spec("mount"), { release: 30 })).toThrow(
      "linux.netDevices.eth0: unable to move network devices without a network namespace",
    );
    expect(() => planOf(spec("mount", "network"))).toThrow(
      "linux.netDevices: only containers that are created and started have them",
    );
  });
});
