import { expect, test } from "bun:test";

import { applyLimits } from "../../../src/container/apply-limits.ts";
import { createStoredSpec, writeStoredSpec } from "../../../src/container/stored-spec.ts";
import { defaultRuntimeSpec } from "../../../src/oci/default-runtime-spec.ts";
import type { Resources, RuntimeSpec } from "../../../src/oci/runtime-spec.ts";
import type { Cgroup } from "../../../src/runtime/cgroup/cgroup.ts";
import { TemporaryDirectory } from "../../helpers/temporary.ts";

const id = "c".repeat(64);

function specWith(resources: Resources): RuntimeSpec {
  return { ...defaultRuntimeSpec({ cgroupNamespace: false }), linux: { resources } };
}

/** A cgroup that only notes what it is given, and calls somebody back each time. */
function notingCgroup(onApplied: (count: number) => void) {
  const calls: [string, unknown][] = [];
  const note = async (name: string, resources: Resources): Promise<string[]> => {
    calls.push([name, resources]);
    onApplied(calls.length);
    return [];
  };
  const cgroup = {
    restrictDevices: (rules: unknown) => void calls.push(["devices", rules]),
    applyResources: (resources: Resources) => note("apply", resources),
    updateResources: (resources: Resources) => note("update", resources),
  } as Partial<Cgroup> as Cgroup;
  return { cgroup, calls };
}

test("limits are applied once as a rule", async () => {
  using directory = new TemporaryDirectory("limits");
  const spec = specWith({ pids: { limit: 5 } });
  const specVersion = createStoredSpec(directory.path, spec);
  const { cgroup, calls } = notingCgroup(() => {});
  await applyLimits(cgroup, { id, directory: directory.path, spec, specVersion });
  expect(calls).toEqual([["apply", { pids: { limit: 5 } }]]);
});

test("limits that somebody writes down before the cgroup is looked for are applied, too", async () => {
  using directory = new TemporaryDirectory("limits");
  const spec = specWith({ devices: [], pids: { limit: 5 } });
  const specVersion = createStoredSpec(directory.path, spec);
  writeStoredSpec(directory.path, specWith({ devices: [], pids: { limit: 6 } }));
  const { cgroup, calls } = notingCgroup((count) => {
    if (count === 3) writeStoredSpec(directory.path, specWith({ devices: [], pids: { limit: 7 } }));
  });
  await applyLimits(cgroup, { id, directory: directory.path, spec, specVersion });
  expect(calls).toEqual([
    ["devices", []],
    ["apply", { devices: [], pids: { limit: 5 } }],
    ["update", { pids: { limit: 6 } }],
    ["update", { pids: { limit: 7 } }],
  ]);
});
