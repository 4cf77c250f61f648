import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { ContainerStore } from "../../../src/container/records.ts";
import { placeInVolume } from "../../../src/container/volume-place.ts";
import { volumeUsers } from "../../../src/container/volume-users.ts";
import { ConflictError } from "../../../src/util/errors.ts";
import { newContainer } from "../../helpers/container.ts";
import { TemporaryDirectory } from "../../helpers/temporary.ts";

test("who has a volume, and what is not known for certain", () => {
  using directory = new TemporaryDirectory("users");
  const containers = ContainerStore.open(directory.path);
  const mounts = [{ type: "volume", name: "data", destination: "/x", readOnly: false } as const];
  const ids = ["one", "two"].map((name) => {
    using claim = containers.create(newContainer({ name, mounts }));
    return claim.id;
  });
  const [one = "", two = ""] = ids;
  expect(volumeUsers(containers)("data").toSorted()).toEqual(ids.toSorted());
  expect(volumeUsers(containers)("other")).toEqual([]);
  expect(volumeUsers(containers, { except: one })("data")).toEqual([two]);

  writeFileSync(`${containers.directory(two)}/container.json`, '{"version":2}');
  expect(() => volumeUsers(containers)("other")).toThrow(ConflictError);
  expect(volumeUsers(containers, { except: two })("data")).toEqual([one]);
  const broken: string[] = [];
  expect(volumeUsers(containers, { onBroken: (id) => broken.push(id) })("data")).toEqual([one]);
  expect(broken).toEqual([two]);
});

test.each([
  ["/store/volumes/data/_data/a/b", { directory: "/store/volumes/data/_data", place: "/a/b" }],
  ["/store/volumes/data/_data", undefined],
  ["/store/volumes/data/volume.json", undefined],
  ["/store/volumes/data/other/_data/x", undefined],
  ["/store/layers/x/_data/y", undefined],
  ["/home", undefined],
])("%s in a volume", (source, expected) => {
  expect(placeInVolume("/store", source)).toEqual(expected);
});
