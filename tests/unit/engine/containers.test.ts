import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { LayeredRoot } from "../../../src/container/layered-root.ts";
import { ContainerStore } from "../../../src/container/records.ts";
import { VolumeStore } from "../../../src/container/volumes.ts";
import { listContainers } from "../../../src/engine/ps.ts";
import { openContainers } from "../../../src/engine/reconcile.ts";
import { removeContainer } from "../../../src/engine/rm.ts";
import { ConflictError, NotFoundError } from "../../../src/util/errors.ts";
import { newContainer } from "../../helpers/container.ts";
import { TemporaryDirectory } from "../../helpers/temporary.ts";

let directory: TemporaryDirectory;
let context: { root: string; state: string; debug: undefined };
let containers: ContainerStore;

beforeEach(() => {
  directory = new TemporaryDirectory("engine");
  context = { root: directory.path, state: `${directory.path}/state`, debug: undefined };
  containers = ContainerStore.open(context.root);
});
afterEach(() => directory[Symbol.dispose]());

const made = () => readdirSync(`${context.root}/containers`).filter((name) => /^[0-9a-f]{64}$/.test(name));

describe("listContainers", () => {
  test("shows what runs, or all, the newest first", async () => {
    using resting = containers.create(newContainer({ name: "resting" }));
    containers.write({ ...resting.record, created: "2024-01-01T00:00:00.000Z" });
    using running = containers.create(newContainer({ name: "running", command: ["sleep", "1"], labels: { a: "b" } }));
    running.markRunning(process.pid);
    expect(await listContainers(context, { all: false })).toEqual([
      {
        id: running.id,
        name: "running",
        image: "alpine:3.19",
        imageId: `sha256:${"0".repeat(64)}`,
        layers: [],
        command: ["sleep", "1"],
        created: running.record.created,
        labels: { a: "b" },
        mounts: [],
        exposedPorts: [],
        publications: [],
        networks: [],
        status: "running",
        state: running.record.state,
      },
    ]);
    expect((await listContainers(context, { all: true })).map(({ name }) => name)).toEqual(["running", "resting"]);
  });
});

test("what cannot be put in order is in the debug log of a command that tells nothing else of it", async () => {
  const claim = containers.create(newContainer());
  claim.markRunning(process.pid);
  writeFileSync(`${claim.directory}/container.json`, '{"version":2}');
  claim[Symbol.dispose]();
  const lines: string[] = [];
  await openContainers({ ...context, debug: (line) => lines.push(line) });
  expect(lines).toEqual([expect.stringContaining(`container ${claim.id.slice(0, 12)} could not be put in order: `)]);
});

describe("removeContainer", () => {
  const options = { force: false, volumes: false };

  test("by name, ID or the beginning of it", async () => {
    for (const reference of ["name", "id", "prefix"]) {
      using claim = containers.create(newContainer({ name: "web" }));
      claim[Symbol.dispose]();
      const given = { name: "web", id: claim.id, prefix: claim.id.slice(0, 5) }[reference] as string;
      expect(await removeContainer(context, given, options)).toBe(claim.id);
      expect(made()).toEqual([]);
    }
    await expect(removeContainer(context, "web", options)).rejects.toThrow(NotFoundError);
  });

  test("a running one is refused", async () => {
    using claim = containers.create(newContainer({ name: "web" }));
    claim.markRunning(process.pid);
    await expect(removeContainer(context, "web", options)).rejects.toThrow(ConflictError);
    expect(made()).toEqual([claim.id]);
    claim.remove();
  });

  test("waits for another gocker that only looks at it", async () => {
    using claim = containers.create(newContainer({ name: "web" }));
    const removal = removeContainer(context, "web", options);
    claim[Symbol.dispose]();
    expect(await removal).toBe(claim.id);
    expect(made()).toEqual([]);
  });

  test("by force: the process is killed, its gocker ends the container", async () => {
    using claim = containers.create(newContainer({ name: "web" }));
    await using sleeper = Bun.spawn(["sleep", "1000"]);
    claim.markRunning(sleeper.pid);
    const removal = removeContainer(context, "web", { ...options, force: true });
    await sleeper.exited;
    expect(sleeper.signalCode).toBe("SIGKILL");
    claim.markExited({ exitCode: 137 });
    claim[Symbol.dispose]();
    expect(await removal).toBe(claim.id);
    expect(made()).toEqual([]);
  });

  test("by force: with --rm its gocker removes it", async () => {
    using claim = containers.create(newContainer({ name: "web", remove: true }));
    await using sleeper = Bun.spawn(["sleep", "1000"]);
    claim.markRunning(sleeper.pid);
    const removal = removeContainer(context, "web", { ...options, force: true });
    await sleeper.exited;
    claim.remove();
    expect(await removal).toBe(claim.id);
    expect(made()).toEqual([]);
  });

  test("by force: a process that only has the same number is spared", async () => {
    using claim = containers.create(newContainer({ name: "web" }));
    await using sleeper = Bun.spawn(["sleep", "1000"]);
    claim.markRunning(sleeper.pid);
    containers.writeState(claim.id, { ...claim.record.state, pidStartTime: 1 });
    const removal = removeContainer(context, "web", { ...options, force: true });
    claim.markExited({ exitCode: 0 });
    claim[Symbol.dispose]();
    await removal;
    expect(sleeper.exitCode).toBeNull();
    expect(sleeper.killed).toBe(false);
  });

  test("volumes that were made for it go when asked, unless another container has them", async () => {
    const volumes = VolumeStore.open(context.root);
    mkdirSync(`${directory.path}/layer`);
    const mount = (name: string, anonymous: boolean) =>
      ({ type: "volume", name, anonymous, destination: `/${name}`, readOnly: false }) as const;
    using image = LayeredRoot.open([`${directory.path}/layer`]);
    const requests = ["own", "shared", "named"].map((name) => ({
      name,
      anonymous: false,
      target: "/x",
      readOnly: false,
      noCopy: false,
    }));
    await volumes.prepare(requests, { container: "0".repeat(64), image, owner: { uid: 0, gid: 0 } });
    const mounts = [mount("own", true), mount("shared", true), mount("named", false)];
    containers.create(newContainer({ name: "one", mounts }))[Symbol.dispose]();
    containers.create(newContainer({ name: "two", mounts: [mount("shared", false)] }))[Symbol.dispose]();
    await removeContainer(context, "one", { force: false, volumes: true });
    expect(volumes.list().map(({ name }) => name)).toEqual(["named", "shared"]);
    await removeContainer(context, "two", { force: false, volumes: true });
    expect(existsSync(volumes.dataPath("shared"))).toBe(true);
  });
});
