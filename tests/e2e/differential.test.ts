import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readlinkSync } from "node:fs";
import { join } from "node:path";

import { type Facts, factsScript, parseFacts } from "../helpers/container-facts.ts";
import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { hasPodman, PodmanRunner } from "../helpers/podman-runner.ts";
import { createRunner, type Runner } from "../helpers/runner.ts";

if (!hasPodman) console.warn("differential: skipped, podman is not installed");

/** A difference that is meant. Both sides must be as it says: anything else fails. */
interface Difference {
  readonly fact: RegExp;
  /** What gocker's container has; undefined: nothing of that name. */
  readonly gocker?: string | RegExp;
  readonly podman?: string | RegExp;
  readonly why: string;
  /** Only for this runtime. */
  readonly runtime?: "crun" | "runc";
}

const cover = /^tmpfs noexec,nosuid,relatime,ro /;

/** podman 4 with Docker's capabilities and settings. "Docker" is moby with runc, whose ways gocker takes over. */
const differences: readonly Difference[] = [
  {
    fact: /^environment container$/,
    podman: "podman",
    why: "podman tells programs by this that they are in a container; Docker has no such variable",
  },
  {
    fact: /^environment TERM$/,
    podman: "xterm",
    why: "podman sets it always; Docker, and gocker, for a terminal only",
  },
  {
    fact: /^environment HOME$/,
    gocker: "/",
    podman: "/srv",
    why: "podman writes a user without an entry into the container's passwd, with the working directory as its home",
  },
  {
    fact: /^mount \/run\/\.containerenv$/,
    podman: /./,
    why: "a file of podman's by which programs know it",
  },
  {
    fact: /^mount (\/run|\/var\/tmp)$/,
    podman: /^tmpfs /,
    why: "--read-only-tmpfs of podman's: with --read-only it adds these; Docker does not",
  },
  {
    fact: /^mount \/(tmp|t)$/,
    gocker: /^tmpfs nodev,noexec,nosuid,/,
    podman: /^tmpfs nodev,nosuid,/,
    why: "--tmpfs of Docker's is noexec unless told",
  },
  {
    fact: /^mount \/etc\/(hosts|hostname|resolv\.conf)$/,
    gocker: "relatime,ro",
    podman: "nodev,noexec,nosuid,relatime,ro",
    why: "podman makes them so with --read-only; Docker binds them plainly",
  },
  {
    fact: /^mount \/etc\/resolv\.conf$/,
    gocker: /./,
    why: "podman leaves it out without a network; Docker does not, and images have links in its place",
  },
  {
    fact: /^file \/$/,
    gocker: "755 0:0",
    podman: "555 0:0",
    why: "the layer says nothing of its root directory: Docker's and gocker's is 755",
  },
  {
    fact: /^write \/$/,
    gocker: "yes",
    podman: "no",
    why: "the mode of /, for a root without CAP_DAC_OVERRIDE",
  },
  {
    fact: /^mount \/dev$/,
    gocker: /^tmpfs nosuid,rw /,
    podman: /^tmpfs noexec,nosuid,rw /,
    why: "Docker's /dev is not noexec",
  },
  {
    fact: /^mount \/dev\/shm$/,
    gocker: /size=65536k$/,
    podman: /size=64000k$/,
    why: "podman's 64 MB are of a thousand, Docker's of 1024",
  },
  {
    fact: /^mount \/sys\/fs\/cgroup$/,
    gocker: /^tmpfs nodev,noexec,nosuid,relatime,ro /,
    podman: /^tmpfs nodev,noexec,nosuid,relatime,rw /,
    why: "cgroup v1: the directory that holds the hierarchies is read-only in Docker's containers as they are",
  },
  { fact: /^write \/sys\/fs\/cgroup$/, gocker: "no", podman: "yes", why: "the same" },
  {
    fact: /^mask \/proc\/interrupts$/,
    gocker: "empty",
    podman: "shown",
    why: "Docker masks it by now (a side channel); podman 4 is older",
  },
  { fact: /^mount \/proc\/interrupts$/, gocker: cover, why: "the same" },
  {
    fact: /^mask \/sys\/dev\/block$/,
    gocker: "shown",
    podman: "empty",
    why: "podman alone masks it; Docker does not",
  },
  { fact: /^mount \/sys\/dev\/block$/, podman: /^tmpfs /, why: "the same" },
  {
    fact: /^mount \/(proc\/(acpi|asound|scsi|keys|latency_stats|sched_debug|timer_list|timer_stats)|sys\/firmware)$/,
    gocker: cover,
    podman: /./,
    why: "what covers a masked path; that nothing is seen through it is another line",
  },
  {
    fact: /^(device|link) \/dev\/core$/,
    podman: /./,
    runtime: "crun",
    why: "crun alone makes this link, to /proc/kcore",
  },
  {
    fact: /^mount \/proc\/(bus|fs|irq|sys|sysrq-trigger)$/,
    gocker: /^proc nodev,noexec,nosuid,relatime,ro /,
    podman: /^proc relatime,ro /,
    runtime: "crun",
    why: "crun's read-only paths lose the flags of the mount that they lie on; runc's keep them",
  },
  {
    fact: /^mount \/sys$/,
    gocker: "sysfs nodev,noexec,nosuid,relatime,ro ro",
    podman: "sysfs nodev,noexec,nosuid,relatime,ro rw",
    runtime: "crun",
    why: "runc's sysfs of an own network is read-only altogether, crun's by its mount",
  },
  {
    fact: /^cgroup $/,
    gocker: "own",
    podman: "/",
    runtime: "crun",
    why: "crun refuses hosts with both versions of cgroups, so the unified one was hidden from it",
  },
];

/** What both are called with. Limits are named because podman's own defaults need CAP_SYS_RESOURCE. */
const limits = ["--ulimit", "nofile=500:1000", "--ulimit", "nproc=5000:5000"];

const scenarios: readonly (readonly string[])[] = [
  ["--network", "none"],
  ["--network", "host"],
  ["--network", "none", "-u", "guest"],
  ["--network", "none", "-u", "1234:55", "--group-add", "77", "-w", "/srv", "-e", "A=b"],
  ["--network", "none", "--cap-drop", "ALL", "--cap-add", "NET_ADMIN", "--cap-add", "SYS_ADMIN"],
  ["--network", "none", "--security-opt", "no-new-privileges"],
  ["--network", "none", "--security-opt", "seccomp=unconfined", "--tmpfs", "/t:size=1m,mode=1777"],
  ["--network", "none", "--read-only", "--tmpfs", "/tmp"],
  ["--network", "none", "--privileged"],
];

describe.skipIf(!canRunCorpus || !hasPodman)("what a container is made of, beside podman's", () => {
  let runner: Runner;
  let podman: PodmanRunner;
  let image: string;
  let script: string;
  beforeAll(async () => {
    runner = await createRunner([], { "plain:1": { layers: [alpineLayer] } });
    image = runner.image("plain:1");
    podman = await PodmanRunner.create();
    await podman.pull(image);
    script = join(runner.sandbox.directory, "facts.sh");
    await Bun.write(script, factsScript);
  }, 30_000);
  afterAll(async () => {
    await podman?.[Symbol.asyncDispose]();
    await runner?.[Symbol.asyncDispose]();
  });

  const compare = async (runtime: "crun" | "runc", flags: readonly string[]) => {
    const words = [...limits, "-h", "box", "-v", `${script}:/facts:ro`, ...flags, image, "sh", "/facts"];
    const ours = await runner.run(words);
    const theirs = await podman.run(runtime, words);
    expect({ stderr: ours.stderr, exitCode: ours.exitCode }).toEqual({ stderr: "", exitCode: 0 });
    expect({ exitCode: theirs.exitCode, stderr: theirs.stderr }).toEqual({ stderr: "", exitCode: 0 });
    return unexplained(factsOf(ours.stdout), factsOf(theirs.stdout), runtime);
  };

  test.each(scenarios.map((flags) => [flags.join(" "), flags] as const))(
    "runc: %s",
    async (_, flags) => {
      expect(await compare("runc", flags)).toEqual([]);
    },
    30_000,
  );

  test.each(scenarios.slice(0, 2).map((flags) => [flags.join(" "), flags] as const))(
    "crun: %s",
    async (_, flags) => {
      expect(await compare("crun", flags)).toEqual([]);
    },
    30_000,
  );
});

/** Namespaces are told by numbers: what counts is which of them are the host's. */
function factsOf(text: string): Facts {
  const facts = new Map(parseFacts(text));
  for (const [name, value] of facts) {
    if (!name.startsWith("namespace ")) continue;
    const host = readlinkSync(`/proc/self/ns/${name.slice("namespace ".length)}`);
    facts.set(name, value === host ? "the host's" : "its own");
  }
  return facts;
}

/** The differences that are in no table, as lines to read. */
function unexplained(gocker: Facts, podman: Facts, runtime: string): string[] {
  const names = [...new Set([...gocker.keys(), ...podman.keys()])].toSorted();
  return names
    .filter((name) => gocker.get(name) !== podman.get(name))
    .filter(
      (name) =>
        !differences.some(
          (one) =>
            one.fact.test(name) &&
            (one.runtime === undefined || one.runtime === runtime) &&
            fits(gocker.get(name), one.gocker) &&
            fits(podman.get(name), one.podman),
        ),
    )
    .map((name) => `${name}: gocker ${gocker.get(name) ?? "nothing"}, podman ${podman.get(name) ?? "nothing"}`);
}

function fits(value: string | undefined, expected: string | RegExp | undefined): boolean {
  if (expected === undefined || value === undefined) return value === expected;
  return typeof expected === "string" ? value === expected : expected.test(value);
}
