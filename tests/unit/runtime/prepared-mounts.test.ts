import { describe, expect, test } from "bun:test";
import type { IdMapping, Mount } from "../../../src/oci/runtime-spec.ts";
import type { Cgroup } from "../../../src/runtime/cgroup/cgroup.ts";
import { prepareMounts } from "../../../src/runtime/prepared-mounts.ts";

function range(containerID: number, hostID: number, size: number): IdMapping {
  return { containerID, hostID, size };
}

function mount(change: Partial<Mount>): Mount {
  return { destination: "/x", type: "bind", source: "/srv", ...change };
}

/** Mounts that are not copied into take none. */
const of = { users: undefined, cgroup: {} as Cgroup };

test("nothing is made for mounts that take nothing", async () => {
  using prepared = await prepareMounts([mount({}), mount({ uidMappings: [], gidMappings: [] })], "/", of);
  expect(prepared.descriptors).toEqual([]);
});

describe("refused before anything is made", () => {
  const one = [range(0, 1000, 1)];
  test.each<[string, Partial<Mount>, string]>([
    ["no mappings", { options: ["idmap"] }, "mounts[1].options: idmap needs uidMappings and gidMappings"],
    ["users alone", { uidMappings: one }, "mounts[1].gidMappings: a user namespace needs at least one mapping"],
    ["groups alone", { gidMappings: one }, "mounts[1].uidMappings: a user namespace needs at least one mapping"],
    [
      "contradictory ones",
      { uidMappings: one, gidMappings: [range(0, 0, 5), range(4, 9, 1)] },
      "mounts[1].gidMappings[1].containerID: overlaps with mounts[1].gidMappings[0]",
    ],
  ])("%s", async (_, change, message) => {
    await expect(prepareMounts([mount({}), mount(change)], "/", of)).rejects.toThrow(message);
  });
});
