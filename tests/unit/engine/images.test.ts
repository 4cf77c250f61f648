import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StoredRecord } from "../../../src/container/record.ts";
import { followEvents } from "../../../src/container/event-log.ts";
import { type EngineContext, engineContext } from "../../../src/engine/context.ts";
import { listImages } from "../../../src/engine/images.ts";
import { removeImage } from "../../../src/engine/rmi.ts";
import { pullImage } from "../../../src/image/pull.ts";
import { nanosecondsNow } from "../../../src/linux/clock.ts";
import { parseReference } from "../../../src/oci/reference.ts";
import { ConflictError, InvalidDocumentError, NotFoundError, UsageError } from "../../../src/util/errors.ts";
import { MemoryRegistry, pretendUnpacker } from "../../helpers/memory-images.ts";

function temporaryContext(): { context: EngineContext; directory: string } & Disposable {
  const directory = mkdtempSync(join(tmpdir(), "gocker-engine-"));
  return {
    directory,
    context: engineContext({ root: `${directory}/root/`, state: `${directory}/state` }, {}),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}

async function pulled(context: EngineContext, name: string, text: string, created?: string) {
  const registry = new MemoryRegistry();
  registry.add(name, [Buffer.from(text)], created === undefined ? {} : { created });
  return pullImage(context.images, registry, parseReference(name), { startUnpacker: pretendUnpacker });
}

/** Puts a container of an image on the disk, as far as images care for it. */
function useImage(
  { root }: EngineContext,
  image: { id: string; layers: readonly string[] },
  status: "exited" | "running",
) {
  const id = crypto.randomUUID().replaceAll("-", "").repeat(2);
  const record: StoredRecord = {
    version: 1,
    id,
    name: `user-${status}`,
    image: { reference: "app", id: image.id },
    created: "2024-01-01T00:00:00Z",
    command: ["true"],
    labels: {},
    mounts: [],
    layers: image.layers,
    remove: false,
    terminal: false,
  };
  mkdirSync(`${root}/containers/${id}`, { recursive: true });
  writeFileSync(`${root}/containers/${id}/container.json`, JSON.stringify(record));
  writeFileSync(`${root}/containers/${id}/${status}.json`, JSON.stringify({ status }));
  // What runs has a lock.
  if (status === "running") {
    mkdirSync(`${root}/containers/active`, { recursive: true });
    writeFileSync(`${root}/containers/active/${id}`, "");
  }
  return `${root}/containers/${id}`;
}

describe("engineContext", () => {
  test("makes its directories for root alone, from options or the environment", () => {
    using temporary = temporaryContext();
    const { context, directory } = temporary;
    expect(context.root).toBe(`${directory}/root`);
    for (const path of [context.root, context.state]) expect(statSync(path).mode & 0o777).toBe(0o700);
    const other = engineContext({}, { GOCKER_ROOT: `${directory}/other`, GOCKER_STATE: `${directory}/run` });
    expect([other.root, other.state]).toEqual([`${directory}/other`, `${directory}/run`]);
    expect(existsSync(`${directory}/run`)).toBe(true);
  });

  test("refuses what is no absolute path, and says what to do when a directory cannot be made", () => {
    using temporary = temporaryContext();
    expect(() => engineContext({ root: "here" }, {})).toThrow(UsageError);
    writeFileSync(`${temporary.directory}/file`, "");
    const options = { root: `${temporary.directory}/file/root`, state: temporary.directory };
    expect(() => engineContext(options, {})).toThrow(/cannot be made/);
  });
});

describe("listImages", () => {
  test("a line for each name, the newest image first", async () => {
    using temporary = temporaryContext();
    const { context } = temporary;
    const old = await pulled(context, "docker.io/library/app:1", "12345", "2020-01-01T00:00:00Z");
    const young = await pulled(context, "registry.test:5000/team/app:2", "1", "2024-01-01T00:00:00Z");
    await context.images.tag(old, parseReference("app:old"));
    expect(listImages(context).map(({ repository, tag, id, size }) => [repository, tag, id, size])).toEqual([
      ["registry.test:5000/team/app", "2", young.id, 1],
      ["docker.io/library/app", "1", old.id, 5],
      ["docker.io/library/app", "old", old.id, 5],
    ]);
    expect(listImages(context, { name: "app" })).toHaveLength(2);
    expect(listImages(context, { name: "app:old" })).toHaveLength(1);
    await pulled(context, "registry.test:5000/team/app:2", "3");
    const untagged = listImages(context).find(({ id }) => id === young.id);
    expect(untagged).toMatchObject({ repository: "registry.test:5000/team/app", tag: undefined });
  });
});

describe("removeImage", () => {
  test("takes a name away, and the image with its last name", async () => {
    using temporary = temporaryContext();
    const { context } = temporary;
    const image = await pulled(context, "docker.io/library/app:1", "one");
    await context.images.tag(image, parseReference("app:2"));
    expect(await removeImage(context, "app:1")).toEqual({ untagged: ["docker.io/library/app:1"], deleted: [] });
    expect(existsSync(image.layerDirectories[0]!)).toBe(true);
    expect(await removeImage(context, "app:2")).toEqual({ untagged: ["docker.io/library/app:2"], deleted: [image.id] });
    expect(existsSync(image.layerDirectories[0]!)).toBe(false);
    await expect(removeImage(context, "app:2")).rejects.toBeInstanceOf(NotFoundError);
    const happened: string[] = [];
    for await (const { Action, Actor } of followEvents(context.state, { until: nanosecondsNow() })) {
      happened.push(`${Action} ${Actor.ID} ${Actor.Attributes["name"]}`);
    }
    const { id } = image;
    expect(happened).toEqual([`untag ${id} ${id}`, `untag ${id} ${id}`, `delete ${id} ${id}`]);
  });

  test("an ID with several names wants force", async () => {
    using temporary = temporaryContext();
    const { context } = temporary;
    const image = await pulled(context, "docker.io/library/app:1", "one");
    await context.images.tag(image, parseReference("app:2"));
    const short = image.id.slice(7, 19);
    await expect(removeImage(context, short)).rejects.toThrow(/several names: app:1, app:2/);
    const { untagged, deleted } = await removeImage(context, short, { force: true });
    expect(untagged).toHaveLength(2);
    expect(deleted).toEqual([image.id]);
  });

  test("an image that containers use stays; with force its layers do", async () => {
    using temporary = temporaryContext();
    const { context } = temporary;
    const image = await pulled(context, "docker.io/library/app:1", "one");
    const use = { id: image.id, layers: image.config.rootfs.diff_ids };
    const running = useImage(context, use, "running");
    await expect(removeImage(context, "app:1", { force: true })).rejects.toThrow(/running container user-running/);
    rmSync(running, { recursive: true });
    const exited = useImage(context, use, "exited");
    await expect(removeImage(context, "app:1")).rejects.toBeInstanceOf(ConflictError);
    expect((await removeImage(context, "app:1", { force: true })).deleted).toEqual([image.id]);
    expect(existsSync(image.layerDirectories[0]!)).toBe(true);
    rmSync(exited, { recursive: true });
    const other = await pulled(context, "docker.io/library/other:1", "two");
    await removeImage(context, other.id);
    expect(existsSync(image.layerDirectories[0]!)).toBe(false);
  });

  test("nothing is removed while a container's record cannot be read", async () => {
    using temporary = temporaryContext();
    const { context } = temporary;
    const image = await pulled(context, "docker.io/library/app:1", "one");
    const container = useImage(context, { id: image.id, layers: [] }, "exited");
    writeFileSync(`${container}/container.json`, "{");
    await expect(removeImage(context, "app:1", { force: true })).rejects.toBeInstanceOf(InvalidDocumentError);
    expect(context.images.resolve("app:1")?.id).toBe(image.id);
  });
});
