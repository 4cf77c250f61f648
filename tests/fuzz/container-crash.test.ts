import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { LayeredRoot } from "../../src/container/layered-root.ts";
import { reconcileContainers } from "../../src/container/reconcile.ts";
import { ContainerStore } from "../../src/container/records.ts";
import { VolumeStore } from "../../src/container/volumes.ts";
import { newContainer } from "../helpers/container.ts";
import { TemporaryDirectory } from "../helpers/temporary.ts";

const churn = `${import.meta.dir}/container-churn.ts`;
const files = ["one", "two", "three"];

/** A layer with something to fill volumes with. */
function makeLayer(path: string): string {
  mkdirSync(`${path}/data`, { recursive: true });
  for (const name of files) writeFileSync(`${path}/data/${name}`, name);
  return path;
}

test("gockers killed at any moment leave nothing that the next one does not remove", async () => {
  using directory = new TemporaryDirectory("crash");
  const root = `${directory.path}/root`;
  const layer = makeLayer(`${directory.path}/layer`);
  for (let round = 0; round < 12; round++) {
    const processes = Array.from({ length: 2 }, () =>
      Bun.spawn([process.execPath, churn, root, layer], { stdin: "ignore", stdout: "pipe", stderr: "pipe" }),
    );
    // Each works from its first output on; where in its work it is killed is up to chance.
    for (const { stdout } of processes) await stdout.getReader().read();
    await Bun.sleep(Math.random() * 30);
    for (const child of processes) child.kill("SIGKILL");
    const errors = await Promise.all(processes.map(({ stderr }) => stderr.text()));
    expect(errors).toEqual(["", ""]);
    await Promise.all(processes.map(({ exited }) => exited));
  }
  const containers = ContainerStore.open(root);
  const volumes = VolumeStore.open(root);
  const failures: unknown[] = [];
  await reconcileContainers({ containers, volumes, kill: () => {}, onError: (_, error) => failures.push(error) });
  volumes.sweep();
  expect(failures).toEqual([]);
  expect(readdirSync(`${root}/containers`).toSorted()).toEqual(["active", "names"]);
  expect(readdirSync(`${root}/containers/active`)).toEqual([]);
  expect(readdirSync(`${root}/containers/names`)).toEqual([]);
  expect(readdirSync(`${root}/volumes`).toSorted()).toEqual([".lock", "kept"]);

  // The volume that stays was filled, or is when it is used the next time.
  using image = LayeredRoot.open([layer]);
  const request = { name: "kept", anonymous: false, target: "/data", readOnly: false, noCopy: false };
  await volumes.prepare([request], { container: "0".repeat(64), image, owner: { uid: 0, gid: 0 } });
  expect(readdirSync(volumes.dataPath("kept")).toSorted()).toEqual(files.toSorted());
});

test("of many that want a name at once one gets it", async () => {
  using directory = new TemporaryDirectory("race");
  const store = JSON.stringify(import.meta.resolve("../../src/container/records.ts"));
  const details = JSON.stringify(newContainer({ name: "web" }));
  const script = `
    const { ContainerStore } = await import(${store});
    const containers = ContainerStore.open(${JSON.stringify(directory.path)});
    try { containers.create(${details})[Symbol.dispose](); console.log("mine"); } catch (error) { console.log(error.code); }`;
  const outputs = await Promise.all(
    Array.from({ length: 5 }, async () => await Bun.$`${process.execPath} -e ${script}`.quiet().text()),
  );
  expect(outputs.map((output) => output.trim()).toSorted()).toEqual([...Array(4).fill("CONFLICT"), "mine"]);
  expect(ContainerStore.open(directory.path).list()).toHaveLength(1);
});
