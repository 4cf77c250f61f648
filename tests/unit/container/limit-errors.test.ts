import { expect, test } from "bun:test";
import { inFlags } from "../../../src/container/limit-errors.ts";
import type { Resources } from "../../../src/oci/runtime-spec.ts";
import { CgroupError } from "../../../src/runtime/cgroup/errors.ts";
import { readLimits } from "../../../src/runtime/cgroup/limits/limits.ts";
import { v2Settings } from "../../../src/runtime/cgroup/limits/v2.ts";
import { InvalidDocumentError } from "../../../src/util/errors.ts";

function failureOf(resources: Resources): unknown {
  try {
    return v2Settings(readLimits(resources));
  } catch (error) {
    return inFlags(error);
  }
}

test.each([
  [
    { memory: { swappiness: 60 } },
    "invalid configuration: --memory-swappiness exists in cgroups of version 1 only, and this host has memory in " +
      "version 2 or not at all",
  ],
  [
    { memory: { disableOOMKiller: true } },
    "invalid configuration: --oom-kill-disable exists in cgroups of version 1 only, and this host has memory in " +
      "version 2 or not at all",
  ],
  [
    { cpu: { realtimeRuntime: 1000 } },
    "invalid configuration: --cpu-rt-runtime exists in cgroups of version 1 only, and this host has cpu in version 2 " +
      "or not at all",
  ],
])("an error about %j names the flag", (resources, message) => {
  const failure = failureOf(resources);
  expect(failure).toBeInstanceOf(CgroupError);
  expect(failure).toMatchObject({ code: "CGROUPS_UNABLE", message });
});

test("lists, hints, and what has no flag", () => {
  const cause = new CgroupError(
    "CGROUPS_UNABLE",
    "linux.resources.blockIO.throttleReadBpsDevice[0] cannot be set in the blkio controller: no such device",
    { hint: "beside linux.resources.blockIO.weightDevice[1].weight and linux.resources.hugepageLimits[0].limit" },
  );
  expect(inFlags(cause)).toMatchObject({
    message: "--device-read-bps cannot be set in the blkio controller: no such device",
    hint: "beside --blkio-weight-device and linux.resources.hugepageLimits[0].limit",
    cause,
  });
});

test("the errors of one that could not be undone, and others as they are", () => {
  const inner = new InvalidDocumentError("linux.resources.pids.limit is 1.5: expected a whole number");
  const both = inFlags(new AggregateError([inner, new Error("other")], "two")) as AggregateError;
  expect(both.errors.map((error: Error) => error.message)).toEqual([
    "--pids-limit is 1.5: expected a whole number",
    "other",
  ]);
  const other = new Error("linux.resources.pids.limit");
  expect(inFlags(other)).toBe(other);
});
