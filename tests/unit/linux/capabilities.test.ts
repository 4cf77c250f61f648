import { describe, expect, test } from "bun:test";
import {
  availableCapabilities,
  capabilitiesIn,
  capabilityMask,
  capabilityName,
  capabilityNames,
  capabilityNumber,
  containerCapabilities,
  defaultCapabilities,
  lastCapability,
} from "../../../src/linux/capabilities.ts";
import { UsageError } from "../../../src/util/errors.ts";

const everything = (1n << 41n) - 1n;

function capabilities(add: string[], drop: string[], more: { privileged?: boolean; available?: bigint } = {}) {
  return containerCapabilities({ add, drop, privileged: false, available: everything, ...more });
}

describe("names and numbers", () => {
  test("go with each other", () => {
    expect(capabilityNames.length).toBe(41);
    expect(new Set(capabilityNames).size).toBe(41);
    expect(capabilityNumber("CAP_SYS_ADMIN")).toBe(21);
    expect(capabilityNumber("sys_admin")).toBe(21);
    expect(capabilityNumber("Cap_Checkpoint_Restore")).toBe(40);
    expect(capabilityNumber("SYS_NOTHING")).toBeUndefined();
    expect(capabilityName(31)).toBe("CAP_SETFCAP");
    expect(capabilityName(41)).toBeUndefined();
  });

  test("make masks", () => {
    expect(capabilityMask(defaultCapabilities)).toBe(0xa80425fbn);
    expect(capabilitiesIn(0xa80425fbn)).toEqual([...defaultCapabilities]);
    expect(capabilitiesIn(1n << 63n)).toEqual([]);
    expect(() => capabilityMask(["NET_ADMINS"])).toThrow(UsageError);
  });

  test("an unknown name is an error that names near ones", () => {
    try {
      capabilityMask(["SYS_ADMN"]);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ message: 'unknown capability "SYS_ADMN"', hint: "Did you mean CAP_SYS_ADMIN?" });
    }
  });

  test("the kernel says what there is", () => {
    expect(lastCapability()).toBeGreaterThanOrEqual(40);
    expect(availableCapabilities() >> BigInt(lastCapability() + 1)).toBe(0n);
  });
});

describe("a container's capabilities", () => {
  test("are Docker's defaults, less the dropped, with the added", () => {
    expect(capabilities([], [])).toEqual([...defaultCapabilities]);
    expect(capabilities(["net_admin"], ["CAP_MKNOD"])).toEqual(
      capabilityNames
        .filter((name) => name === "CAP_NET_ADMIN" || defaultCapabilities.includes(name))
        .filter((name) => name !== "CAP_MKNOD"),
    );
    expect(capabilities(["MKNOD"], ["MKNOD"])).toContain("CAP_MKNOD");
  });

  test("ALL added is all but the dropped; ALL dropped leaves the added", () => {
    expect(capabilities(["all"], ["SYS_ADMIN"])).toEqual(capabilityNames.filter((name) => name !== "CAP_SYS_ADMIN"));
    expect(capabilities(["NET_RAW"], ["ALL"])).toEqual(["CAP_NET_RAW"]);
    expect(capabilities([], ["ALL"])).toEqual([]);
    expect(capabilities(["ALL"], ["ALL"])).toEqual([...capabilityNames]);
  });

  test("a privileged one has all there are", () => {
    const available = everything & ~capabilityMask(["SYS_RESOURCE"]);
    expect(capabilities([], ["ALL"], { privileged: true, available })).toEqual(
      capabilityNames.filter((name) => name !== "CAP_SYS_RESOURCE"),
    );
  });

  test("what is not available is left out of the defaults, and cannot be added", () => {
    const available = everything & ~capabilityMask(["MKNOD", "BPF"]);
    expect(capabilities([], [], { available })).not.toContain("CAP_MKNOD");
    expect(capabilities(["ALL"], [], { available })).toHaveLength(39);
    expect(() => capabilities(["BPF"], [], { available })).toThrow("CAP_BPF cannot be added");
  });

  test("unknown names are refused wherever they stand", () => {
    expect(() => capabilities([], ["NOPE"])).toThrow("NOPE");
    expect(() => capabilities(["NOPE"], [], { privileged: true })).toThrow("NOPE");
  });
});
