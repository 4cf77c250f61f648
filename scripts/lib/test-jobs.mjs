// What `npm test` runs: the suites' files, dealt out into jobs of one `bun test` each.
import { readdirSync } from "node:fs";
import { join } from "node:path";

import { repository } from "../toolchain.mjs";

/** In this order: what is quick and tells most comes first. */
export const suites = ["unit", "registry", "e2e", "security", "fuzz"];

/** The others start containers and need root. */
export const suitesWithoutRoot = new Set(["unit"]);

/**
 * @typedef {object} Job
 * @property {string} suite
 * @property {string} name what it is called in messages
 * @property {string[]} files below tests
 * @property {string | undefined} alone why nothing else may run beside it
 * @property {string | undefined} shares what only one job at a time may use
 */

/** These begin before the unit tests: the first makes an image that the second needs, which takes longest of all. */
const first = new Set(["e2e/run-debian.test.ts", "e2e/detached-debian.test.ts"]);

/** What takes longer than most, longest first: begun last, one of them would run on when all others have ended. */
const long = [
  "security/escape-mount-races.test.ts",
  "e2e/rootfs-podman.test.ts",
  "security/escape-races.test.ts",
  "security/layer-unpack.test.ts",
  "security/escape-image.test.ts",
  "e2e/binary-build.test.ts",
  "security/escape-volumes.test.ts",
  "security/seccomp-libseccomp.test.ts",
  "security/layer-corpus.test.ts",
  "e2e/run-lifetime.test.ts",
  "e2e/detached.test.ts",
  "e2e/rootfs-umoci.test.ts",
  "e2e/volume-copy.test.ts",
  "security/escape-copy.test.ts",
  "registry/pull.test.ts",
];

/** @type {Readonly<Record<string, string>>} Files that run when nothing else does, and why. */
const alone = {
  "security/cgroup-limits.test.ts":
    "takes back what the root hands down to its cgroups, which others may be about to use",
  "security/cgroup-limits-v1.test.ts": "shares out the realtime of the cgroup in which all containers lie",
  "security/cgroup-limits-v2.test.ts":
    "takes back what the root hands down to its cgroups, which others may be about to use",
};

const debian = "the image of Debian, which the first of them makes";
const processor = "a processor, which one keeps busy by changing a directory all the time";

/** @type {Readonly<Record<string, string>>} Files that share something that only one of them may use at a time. */
const shared = {
  "e2e/run-debian.test.ts": debian,
  "e2e/detached-debian.test.ts": debian,
  "security/escape-copy.test.ts": processor,
  "security/escape-mount-races.test.ts": processor,
  "security/escape-races.test.ts": processor,
  "security/escape-volumes.test.ts": processor,
};

/** Every file that is named here. */
export const placedFiles = [...first, ...long, ...Object.keys(alone), ...Object.keys(shared)];

/** Into so many jobs the unit tests go: a file of theirs is too short for a process of its own. */
const unitJobs = 6;

/**
 * Whether a file, by its path below tests, is what a filter asks for.
 * @param {string} file
 * @param {string} filter
 */
const matches = (file, filter) => file === filter || file.startsWith(`${filter}/`);

/**
 * The filters that no test and no suite has.
 * @param {readonly string[]} filters paths below tests
 */
export function filtersWithoutTests(filters) {
  const files = suites.flatMap(filesOf);
  return filters.filter((filter) => !files.some((file) => matches(file, filter)));
}

/**
 * The jobs in the order in which they are to be begun; those that run alone are the last.
 * @param {readonly string[]} filters paths below tests; none means everything
 * @returns {Job[]}
 */
export function testJobs(filters) {
  const jobs = suites.flatMap((suite) => {
    const files = filesOf(suite).filter(
      (file) => filters.length === 0 || filters.some((filter) => matches(file, filter)),
    );
    return suite === "unit" ? jobsOfMany(suite, files) : files.map((file) => jobOf(suite, file));
  });
  return jobs.toSorted((one, other) => rank(one) - rank(other));
}

/** @param {Job} job */
function rank({ suite, name, alone: reason }) {
  if (reason !== undefined) return 4;
  if (first.has(name)) return 0;
  if (suite === "unit") return 1;
  const place = long.indexOf(name);
  return place < 0 ? 3 : 2 + place / long.length;
}

/** @param {string} suite @param {string} file @returns {Job} */
function jobOf(suite, file) {
  return { suite, name: file, files: [file], alone: alone[file], shares: shared[file] };
}

/** @param {string} suite @param {string[]} files @returns {Job[]} */
function jobsOfMany(suite, files) {
  const count = Math.min(unitJobs, files.length);
  return Array.from({ length: count }, (_, number) => ({
    suite,
    name: count === 1 ? (files.length === 1 ? (files[0] ?? suite) : suite) : `${suite}, part ${number + 1} of ${count}`,
    files: files.filter((_file, index) => index % count === number),
    alone: undefined,
    shares: undefined,
  }));
}

/** @param {string} suite @returns {string[]} */
function filesOf(suite) {
  const names = readdirSync(join(repository, "tests", suite), { recursive: true }).map(String);
  return names
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => `${suite}/${name}`)
    .sort();
}
