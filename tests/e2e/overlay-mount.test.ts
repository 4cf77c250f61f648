import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";

import { createPipe } from "../../src/linux/fd.ts";
import { isAtLeast, kernelVersion } from "../../src/linux/kernel.ts";
import { launch } from "../../src/linux/launch/launch.ts";
import { exitCodeOf, processEnded, reap } from "../../src/linux/process.ts";
import { launchError } from "../../src/runtime/errors.ts";
import { minimalSpec, planOf } from "../helpers/plan.ts";
import { isRoot, TemporaryDirectory } from "../helpers/temporary.ts";

const busybox = Bun.which("busybox");
const canMount = isRoot && busybox !== null;
if (!canMount) console.warn("overlays are not mounted: that needs root and busybox-static");

let store: TemporaryDirectory;
beforeEach(() => {
  store = new TemporaryDirectory("overlay");
});
afterEach(() => store[Symbol.dispose]());

/** Layers with names as long as in a store, each with a file of its own and one that all of them have. */
function makeLayers(count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const name = `layers/${new Bun.CryptoHasher("sha256").update(String(index)).digest("hex")}`;
    mkdirSync(`${store.path}/${name}`, { recursive: true });
    writeFileSync(`${store.path}/${name}/layer-${index}`, "");
    writeFileSync(`${store.path}/${name}/last`, `${index}`);
    return name;
  });
}

/** What a script in a container of the layers prints. */
async function runIn(
  lower: readonly string[],
  options: { layersOneByOne: boolean; volatile: boolean },
  script: string,
) {
  const container = `containers/${"c".repeat(64)}`;
  for (const name of ["upper", "work", "rootfs"]) mkdirSync(`${store.path}/${container}/${name}`, { recursive: true });
  const program = `${store.path}/${lower[0]}/busybox`;
  copyFileSync(busybox as string, program);
  chmodSync(program, 0o755);
  const [upper, work, target] = [`${container}/upper`, `${container}/work`, `${container}/rootfs`];
  const spec = minimalSpec(
    { linux: { namespaces: [{ type: "mount" }, { type: "pid" }] } },
    { args: ["/busybox", "sh", "-ec", `b() { /busybox "$@"; }; ${script}`] },
  );
  const plan = planOf(spec, { root: { kind: "overlay", base: store.path, lower, upper, work, target, ...options } });
  using output = createPipe();
  using input = createPipe();
  const stdio = [input.reader.number, output.writer.number, output.writer.number] as const;
  using child = launch({ namespaces: plan.namespaces, steps: plan.steps, stdio });
  output.writer.close();
  const outcome = await child.status.outcome();
  const printed = readFileSync(output.reader.number, "utf8");
  await processEnded(child.pidfd);
  const exitCode = exitCodeOf(reap(child.pid));
  const error = launchError(outcome, "/busybox");
  if (error !== undefined) throw error;
  return { printed, exitCode, written: `${store.path}/${upper}` };
}

const script = "b cat /last; echo; b ls / | b grep -c ^layer-; echo new >/last; b cat /last; b rm /layer-0";

describe.skipIf(!canMount).each([
  { way: "one by one", layersOneByOne: true },
  { way: "in one page of options, as for kernels before 6.7", layersOneByOne: false },
])("the overlay of layers given $way", ({ layersOneByOne }) => {
  const isUnknown = layersOneByOne && !isAtLeast(kernelVersion(), 6, 7);

  // 127 is the most that Docker's images have; gocker adds one, of places to mount at.
  test.skipIf(isUnknown).each([1, 2, 128, 150])("%d layers", async (count) => {
    const layers = makeLayers(count);
    const { written, ...result } = await runIn(layers, { layersOneByOne, volatile: true }, script);
    expect(result).toEqual({ printed: `${count - 1}\n${count}\nnew\n`, exitCode: 0 });
    expect(readFileSync(`${written}/last`, "utf8")).toBe("new\n");
    expect(readFileSync(`${store.path}/${layers.at(-1)}/last`, "utf8")).toBe(`${count - 1}`);
  });

  test.skipIf(isUnknown)("not volatile either", async () => {
    const { printed } = await runIn(makeLayers(3), { layersOneByOne, volatile: false }, "b cat /last");
    expect(printed).toBe("2");
  });

  test.skipIf(isUnknown)("a layer that is missing is named", async () => {
    const layers = makeLayers(2);
    const running = runIn([layers[0] as string, "layers/missing"], { layersOneByOne, volatile: true }, script);
    await expect(running).rejects.toThrow("layers/missing");
  });
});
