/**
 * Compares gocker with others who do the same or a part of it: `sudo bun scripts/bench.ts [OPTIONS] [SECTION…]`. See
 * docs/benchmarks.md.
 */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { alternate, type Contender, type Prepare, type Rounds, type Row } from "./bench/alternate.ts";
import { coldContenders, onFreshFileSystem } from "./bench/cold.ts";
import { startDocker } from "./bench/docker.ts";
import { provideImage, recipes } from "./bench/images.ts";
import { describeMachine, loadAverage } from "./bench/machine.ts";
import {
  type MemorySection,
  type RateSection,
  type Report,
  reportAsJson,
  reportAsText,
  type Section,
} from "./bench/report.ts";
import { prepareSetting, type Setting } from "./bench/setting.ts";
import { idleContainers, measureIdleMemory } from "./bench/idle-memory.ts";
import {
  detachedBurstContenders,
  detachedContenders,
  execContenders,
  floodBytes,
  floodContenders,
  lifeEngines,
  listContenders,
  removeAll,
  removeContenders,
  stopContenders,
} from "./bench/life.ts";
import {
  measureThroughput,
  networkContenders,
  networkCosts,
  prepareIperfImage,
  prepareNetworks,
} from "./bench/network.ts";
import { burstContenders, runtimeContenders } from "./bench/runtime.ts";
import { startUpContenders } from "./bench/start-up.ts";
import { type Network, prepareWarmImage, warmContenders, type WarmImage } from "./bench/warm.ts";

const repository = resolve(import.meta.dir, "..");
const lifeSections = ["run-d", "exec", "stop", "rm-f", "run-d-burst", "idle-memory", "logs", "ps"] as const;
const networkSections = ["run-network", "network-throughput"] as const;
const allSections = [
  "start-up",
  "run-none",
  "run-host",
  ...networkSections,
  "oci-run",
  "oci-burst",
  ...lifeSections,
  "pull-debian",
  "pull-node",
] as const;
type SectionName = (typeof allSections)[number];

const usage = `usage: bun scripts/bench.ts [OPTIONS] [SECTION...]
sections: ${allSections.join(", ")} (all, unless some are named)
  --rounds N       how often commands that take milliseconds are run (25)
  --pull-rounds N  how often pulls and whatever takes seconds are run (5)
  --quick          8 and 1 of them: for a first look
  --only TEXT      only the rows whose name has the text, and gocker's; can be repeated
  --gocker FILE    the binary to measure (dist/gocker)
  --cache DIR      where the images for pulls are kept (.cache/bench)
  --scratch DIR    where stores and file systems are made (the directory for temporary files)
  --json           the report for programs`;

const { values, positionals } = readArguments();
if (process.getuid?.() !== 0) fail("containers and mounts need root: sudo bun scripts/bench.ts");
if (!existsSync(values.gocker)) fail(`there is no ${values.gocker}: npm run build`);

const count = (text: string | undefined, otherwise: number) => (text === undefined ? otherwise : Number(text));
const measured = count(values.rounds, values.quick ? 8 : 25);
const measuredPulls = count(values["pull-rounds"], values.quick ? 1 : 5);
if (![measured, measuredPulls].every((number) => Number.isInteger(number) && number > 0)) fail(usage);
const shortRounds: Rounds = { warmUp: 3, measured, memory: 3 };
// What takes seconds.
const longRounds: Rounds = { warmUp: 1, measured: measuredPulls };
// The first pull of all allocates the blocks of the file system's file.
const pullRounds: Rounds = { warmUp: 1, measured: measuredPulls };

const interruption = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interruption.abort());

const sections: (Section | MemorySection | RateSection)[] = [];
const machine = describeMachine();
try {
  await using setting = await prepareSetting(resolve(values.gocker), values.scratch);
  await measureAll(setting);
} catch (error) {
  if (!interruption.signal.aborted) throw error;
  process.exit(130);
} finally {
  tell("");
}
const report: Report = { machine, loadAfter: loadAverage(), sections };
console.log(values.json ? reportAsJson(report) : reportAsText(report));
if (sections.some((section) => ownRow(section)?.problem !== undefined)) process.exitCode = 1;

function ownRow(section: (typeof sections)[number]): { readonly problem?: string } | undefined {
  if ("memory" in section) return section.memory[0];
  return "rates" in section ? section.rates[0] : section.rows[0];
}

async function measureAll(setting: Setting): Promise<void> {
  if (chosen("start-up")) {
    await measure("Start-up: the time until a program that does nothing has ended", await startUpContenders(setting));
  }
  const networks = (["none", "host"] as const satisfies Network[]).filter((network) => chosen(`run-${network}`));
  const runtimes = (["oci-run", "oci-burst"] as const).filter(chosen);
  const lives = lifeSections.filter(chosen);
  const bridges = networkSections.filter(chosen);
  if ([networks, bridges, runtimes, lives].some(({ length }) => length > 0)) {
    const image = await prepareWarmImage(setting);
    for (const network of networks) {
      const contenders = await warmContenders(setting, image, network);
      await measure(`Warm start: run --rm --network ${network} IMAGE true`, contenders);
    }
    if (bridges.length > 0) await measureNetworks(setting, image);
    if (chosen("oci-run")) await measure("OCI runtimes: run of one bundle", await runtimeContenders(setting, image));
    if (chosen("oci-burst")) {
      await measure("OCI runtimes: 20 containers at once", await burstContenders(setting, image));
    }
    if (lives.length > 0) await measureLives(setting, image, lives);
  }
  for (const name of ["debian", "node"] as const) if (chosen(`pull-${name}`)) await measurePulls(setting, name);
}

async function measureNetworks(setting: Setting, image: WarmImage): Promise<void> {
  await using networks = await prepareNetworks(setting, image);
  if (chosen("run-network")) {
    const title = "Network: run --rm --network bridge IMAGE true";
    await measure(title, networkContenders(networks, image), { remarksOf: networkCosts });
  }
  if (!chosen("network-throughput")) return;
  const reference = await prepareIperfImage(setting, networks, image);
  const onRound = (round: number) => tell(`network throughput: ${round}/${measuredPulls}`);
  const options = { rounds: measuredPulls, onRound, signal: interruption.signal };
  for (const [direction, rates] of await measureThroughput(setting, networks, reference, options)) {
    sections.push({ title: `Network: ${direction}, one connection of TCP (${measuredPulls} runs)`, rates });
  }
}

async function measureLives(
  setting: Setting,
  image: WarmImage,
  names: readonly (typeof lifeSections)[number][],
): Promise<void> {
  await using docker = await startDocker(setting, image);
  const engines = lifeEngines(setting, image, docker);
  for (const name of names) {
    await using _ = onDispose(async () => {
      for (const engine of engines) {
        if (Bun.which(engine.words[0] ?? "") === null) continue;
        await engine.runner.run({ words: removeAll(engine) }, { memory: false });
      }
    });
    switch (name) {
      case "run-d":
        await measure("Detached start: run -d of an idle container", detachedContenders(engines, image));
        break;
      case "exec":
        await measure("exec true in a running container", await execContenders(setting, engines, image));
        break;
      case "stop":
        await measure("stop -t 0 of a running container", stopContenders(engines, image));
        break;
      case "rm-f":
        await measure("rm -f of a running container", removeContenders(engines, image));
        break;
      case "run-d-burst":
        await measure("Detached starts: 50 at once", detachedBurstContenders(engines, image), { rounds: longRounds });
        break;
      case "idle-memory": {
        tell("memory of idle containers");
        const memory = await measureIdleMemory(setting, engines, image);
        sections.push({ title: `Memory kept for each of ${idleContainers} idle containers`, memory });
        break;
      }
      case "logs":
        await measure(`Logs: ${floodBytes / 1e6} MB of lines`, floodContenders(engines, image), {
          rounds: longRounds,
          bytes: floodBytes,
        });
        break;
      case "ps":
        await measure("ps -a of 100 containers", await listContenders(engines, image));
        break;
    }
  }
}

function onDispose(undo: () => Promise<void>): AsyncDisposable {
  return { [Symbol.asyncDispose]: undo };
}

async function measurePulls(setting: Setting, name: keyof typeof recipes): Promise<void> {
  tell(`${name}: providing the image`);
  const image = await provideImage(recipes[name], resolve(values.cache), setting.registry);
  const size = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;
  const title =
    `Cold pull from this machine: ${name}, ${image.files} files, ` +
    `${size(image.compressed)} of gzip, ${size(image.uncompressed)} of tar`;
  await measure(title, coldContenders(setting, image), {
    rounds: pullRounds,
    prepare: onFreshFileSystem(setting, image),
  });
}

async function measure(
  title: string,
  contenders: readonly Contender[],
  {
    rounds = shortRounds,
    prepare,
    bytes,
    remarksOf,
  }: {
    readonly rounds?: Rounds;
    readonly prepare?: Prepare;
    readonly bytes?: number;
    readonly remarksOf?: (rows: readonly Row[]) => string[];
  } = {},
): Promise<void> {
  const wanted = values.only ?? [];
  const some = contenders.filter(
    ({ name }, index) => index === 0 || wanted.length === 0 || wanted.some((text) => name.includes(text)),
  );
  const onRound = (round: number, of: number) => tell(`${title}: ${round}/${of}`);
  const rows = await alternate(some, { rounds, prepare, onRound, signal: interruption.signal });
  sections.push({ title, rows, ...(bytes !== undefined && { bytes }), ...(remarksOf && { remarks: remarksOf(rows) }) });
}

function chosen(section: SectionName): boolean {
  return positionals.length === 0 || positionals.includes(section);
}

/** One line on a terminal, replaced by the next; nothing elsewhere. */
function tell(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}\r`);
}

function readArguments() {
  try {
    const parsed = parseArgs({
      allowPositionals: true,
      options: {
        rounds: { type: "string" },
        "pull-rounds": { type: "string" },
        quick: { type: "boolean", default: false },
        only: { type: "string", multiple: true },
        gocker: { type: "string", default: join(repository, "dist", "gocker") },
        cache: { type: "string", default: join(repository, ".cache", "bench") },
        scratch: { type: "string" },
        json: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (parsed.values.help) {
      console.log(usage);
      process.exit(0);
    }
    const unknown = parsed.positionals.filter((name) => !(allSections as readonly string[]).includes(name));
    if (unknown.length > 0) fail(`there is no section ${unknown.join(", ")}\n${usage}`);
    return parsed;
  } catch (error) {
    return fail(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
  }
}

function fail(message: string): never {
  console.error(message);
  process.exit(2);
}
