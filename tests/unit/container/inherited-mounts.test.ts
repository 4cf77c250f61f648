import { describe, expect, test } from "bun:test";
import { withInherited } from "../../../src/container/inherited-mounts.ts";
import type { MountOption } from "../../../src/container/options.ts";
import { recordedMounts, volumesOf } from "../../../src/container/recorded-mounts.ts";
import { ContainerStore } from "../../../src/container/records.ts";
import { volumeRequests } from "../../../src/container/volume-requests.ts";
import { NotFoundError } from "../../../src/util/errors.ts";
import { newContainer } from "../../helpers/container.ts";
import { TemporaryDirectory } from "../../helpers/temporary.ts";

const volume = { type: "volume", readOnly: false, noCopy: false } as const;
const bind = { type: "bind", source: "/host", readOnly: false, createSource: true, recursive: true } as const;

/** A store with a container for each of these lists of mounts, by its name. */
function storeWith(containers: Readonly<Record<string, readonly MountOption[]>>): {
  readonly store: ContainerStore;
} & Disposable {
  const directory = new TemporaryDirectory("inherited");
  const store = ContainerStore.open(directory.path);
  for (const [name, mounts] of Object.entries(containers)) {
    const recorded = recordedMounts(mounts, volumeRequests(undefined, mounts));
    store.create(newContainer({ name, mounts: recorded }))[Symbol.dispose]();
  }
  return { store, [Symbol.dispose]: () => directory[Symbol.dispose]() };
}

describe("withInherited", () => {
  const inherited = { ...volume, noCopy: true, mustExist: true, anonymous: false } as const;

  test("volumes and binds come along as they are, file systems in memory do not", () => {
    using stores = storeWith({
      web: [
        { ...volume, name: "data", target: "/data", subpath: "a/b" },
        { ...volume, target: "/anonymous" },
        { ...bind, target: "/bind", readOnly: true, propagation: "rslave", recursive: false },
        { type: "tmpfs", target: "/t", options: [] },
      ],
    });
    const mounts = withInherited([], [{ container: "web", readOnly: false }], stores.store);
    expect(mounts).toEqual([
      { ...bind, target: "/bind", readOnly: true, propagation: "rslave", recursive: false, createSource: false },
      { ...inherited, name: "data", target: "/data", subpath: "a/b" },
      { ...inherited, name: expect.stringMatching(/^[0-9a-f]{64}$/), target: "/anonymous", anonymous: true },
    ]);
    // Nobody loses the way to the other container's anonymous volume: it has the same name in this one's record.
    const again = recordedMounts(mounts, volumeRequests(undefined, mounts));
    const [{ mounts: theirs } = { mounts: [] }] = stores.store.list();
    expect(volumesOf(again)).toEqual(volumesOf(theirs));
    expect(again.filter(({ type }) => type !== "tmpfs")).toEqual(theirs.filter(({ type }) => type !== "tmpfs"));
  });

  test("the user's own mounts win, and later containers over earlier ones", () => {
    using stores = storeWith({
      one: ["/a", "/b", "/c"].map((target) => ({ ...volume, name: "one", target })),
      two: [{ ...volume, name: "two", target: "/b" }],
    });
    const own = [{ type: "tmpfs", target: "/c/", options: [] }] as const;
    const mounts = withInherited(
      own.map((mount) => ({ ...mount, options: [] })),
      [
        { container: "one", readOnly: true },
        { container: "two", readOnly: false },
      ],
      stores.store,
    );
    expect(mounts).toEqual([
      { ...inherited, name: "one", target: "/a", readOnly: true },
      { ...inherited, name: "two", target: "/b" },
      { type: "tmpfs", target: "/c/", options: [] },
    ]);
  });

  test("volumes without a name do not hide what is inherited", () => {
    using stores = storeWith({ web: [{ ...volume, name: "data", target: "/data" }] });
    const own = [
      { ...volume, target: "/data/" },
      { ...volume, target: "/other" },
    ];
    const mounts = withInherited(own, [{ container: "web", readOnly: false }], stores.store);
    expect(mounts).toEqual([
      { ...inherited, name: "data", target: "/data" },
      { ...volume, target: "/other" },
    ]);
  });

  test("a container that is not there is an error", () => {
    using stores = storeWith({});
    expect(() => withInherited([], [{ container: "none", readOnly: false }], stores.store)).toThrow(NotFoundError);
  });
});
