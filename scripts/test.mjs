// `sudo npm test [-- FILTER…]`: installs what the tests need, builds, checks, runs the suites, and looks whether they
// left something on the machine. The last line is the sum: `N passed, N failed, N skipped`.
//
// A filter is a path below tests (`unit/oci`, `e2e/run.test.ts`), the word `check`, or `vm` for test-vm.ts; without one
// everything is run. GOCKER_TEST_JOBS says how many files run at once.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";

import { takeSnapshot, whatIsLeft } from "./host-state.mjs";
import { readReport } from "./lib/junit.mjs";
import { runQueue } from "./lib/queue.mjs";
import { runCommand } from "./lib/run-command.mjs";
import { filtersWithoutTests, suites, suitesWithoutRoot, testJobs } from "./lib/test-jobs.mjs";
import { installPackages } from "./lib/test-packages.mjs";
import { ToolchainError, buildWhenStale, bunExecutable, installWhenStale, repository } from "./toolchain.mjs";

/** @typedef {import("./lib/junit.mjs").Counts} Counts */

/** Milliseconds that one test may take where it does not say so itself. */
const testTimeout = 60_000;
/** Milliseconds for a whole job: one that hangs must not hold the others up. */
const jobTimeout = 15 * 60_000;
/** What test-vm.ts ends with where there is no qemu or no kernel for it; it says so itself. */
const unableStatus = 3;

/** One more than there are processors: tests wait as long as they work. */
const slots = Number(process.env["GOCKER_TEST_JOBS"] ?? availableParallelism() + 1);

const isRoot = process.getuid?.() === 0;
const filters = process.argv.slice(2).map((filter) => filter.replace(/^(\.\/)?tests\//, "").replace(/\/$/, ""));
const testFilters = filters.filter((filter) => filter !== "check" && filter !== "vm");
const total = { passed: 0, failed: 0, skipped: 0 };
/** @type {string[]} What failed, told once more at the end: the beginning of a long output may be lost. */
const failures = [];
const scratch = mkdtempSync(join(tmpdir(), "gocker-test-"));

try {
  installWhenStale();
  buildWhenStale();
} catch (error) {
  giveUp(error);
}
const bun = /** @type {string} */ (bunExecutable());

const unknown = filtersWithoutTests(testFilters);
if (unknown.length > 0) {
  const message = `no such tests: ${unknown.join(", ")}; there are check, vm, ${suites.join(", ")} and paths below those`;
  giveUp(new ToolchainError(message));
}

const jobs = filters.length > 0 && testFilters.length === 0 ? [] : testJobs(testFilters);
const checking = wants("check") ? runCheck() : undefined;
try {
  if (isRoot && (wants("vm") || jobs.some(({ suite }) => !suitesWithoutRoot.has(suite)))) {
    await installPackages();
  }
} catch (error) {
  await checking;
  giveUp(error);
}

const before = takeSnapshot();
await runSuites();
await checking;
if (wants("vm")) await runInVirtualMachine();
reportLeaks();
finish();

/** @param {"check" | "vm"} name */
function wants(name) {
  return filters.length === 0 || filters.includes(name);
}

/** @param {unknown} error */
function giveUp(error) {
  if (!(error instanceof ToolchainError)) throw error;
  console.error(error.message);
  total.failed++;
  finish();
}

async function runCheck() {
  const start = performance.now();
  const output = jobs.length === 0 ? undefined : join(scratch, "check.log");
  const { status } = await runCommand([process.execPath, join(repository, "scripts", "check.mjs")], {
    cwd: repository,
    output,
  });
  console.log("\n== check");
  show(output);
  report("check", start, status === 0 ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 });
  if (status !== 0) failures.push("check: see there");
}

/** All jobs, several at once; what each printed is shown when it has ended, unless there is but one. */
async function runSuites() {
  const start = performance.now();
  /** @type {Map<string, Counts & { seconds: number }>} */
  const sums = new Map();
  for (const { suite } of jobs) sums.set(suite, { passed: 0, failed: 0, skipped: 0, seconds: 0 });
  const able = jobs.filter(({ suite }) => isRoot || suitesWithoutRoot.has(suite));
  await runQueue(able, slots, async (job) => {
    const { counts, seconds } = await runJob(job, able.length === 1);
    const sum = /** @type {Counts & { seconds: number }} */ (sums.get(job.suite));
    add(sum, counts);
    sum.seconds += seconds;
  });
  if (able.length > 1) console.log(`\n== all, in ${secondsSince(start)} s`);
  for (const [suite, { seconds, ...counts }] of sums) {
    if (isRoot || suitesWithoutRoot.has(suite)) {
      tell(suite, counts, seconds);
    } else {
      console.log(`${suite}: skipped, it needs root (sudo npm test)`);
      counts.skipped++;
    }
    add(total, counts);
  }
}

/**
 * @param {import("./lib/test-jobs.mjs").Job} job
 * @param {boolean} isOnly
 */
async function runJob({ name, files }, isOnly) {
  const start = performance.now();
  const stem = join(scratch, name.replaceAll(/[^a-z0-9.]+/g, "-"));
  const results = `${stem}.xml`;
  const output = isOnly ? undefined : `${stem}.log`;
  const options = [`--timeout=${testTimeout}`, "--reporter=junit", `--reporter-outfile=${results}`];
  if (isOnly) console.log(`\n== ${name}`);
  const { status, signal } = await runCommand([bun, "test", ...options, ...files.map((file) => `./tests/${file}`)], {
    cwd: repository,
    output,
    timeout: jobTimeout,
  });
  const { counts, failures: found } = readReport(results);
  failures.push(...found);
  if (!isOnly) console.log(`\n== ${name}`);
  show(output);
  if (signal !== null) console.log(`${name}: ended by ${signal}`);
  // A run that broke off, or that failed outside of any test (a file that does not load), counts as one failure more.
  if (status !== 0 && counts.failed === 0) {
    counts.failed++;
    failures.push(`${name}: ended with ${signal ?? status}`);
  }
  const seconds = (performance.now() - start) / 1000;
  if (!isOnly) tell(name, counts, seconds);
  return { counts, seconds };
}

/** Those that depend on the kernel and its cgroups once more, on a machine that has what this one may lack. */
async function runInVirtualMachine() {
  const start = performance.now();
  const results = join(scratch, "vm.xml");
  console.log("\n== vm");
  const words = [join(repository, "scripts", "test-vm.ts"), "--results", results];
  const { status } = await runCommand([bun, ...words], { cwd: repository, output: undefined });
  const { counts, failures: found } = readReport(results);
  failures.push(...found);
  if (status === unableStatus) {
    console.log("vm: skipped");
    report("vm", start, { passed: 0, failed: 0, skipped: 1 });
    return;
  }
  if (status !== 0 && counts.failed === 0) {
    counts.failed++;
    failures.push(`vm: ended with ${status}`);
  }
  report("vm", start, counts);
}

function reportLeaks() {
  const start = performance.now();
  // What a killed gocker leaves, its watchers may still be removing.
  const deadline = Date.now() + 5000;
  let left = whatIsLeft(before);
  while (left.length > 0 && Date.now() < deadline) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    // What comes and goes meanwhile is of others on this machine.
    const now = new Set(whatIsLeft(before));
    left = left.filter((thing) => now.has(thing));
  }
  failures.push(...left.map((thing) => `left behind: ${thing}`));
  report("left behind", start, { passed: left.length === 0 ? 1 : 0, failed: left.length, skipped: 0 });
}

/** @param {string | undefined} output a file with what a command printed */
function show(output) {
  if (output !== undefined) process.stdout.write(readFileSync(output));
}

/**
 * Adds to the sum of everything, and tells.
 * @param {string} name
 * @param {number} start
 * @param {Counts} counts
 */
function report(name, start, counts) {
  add(total, counts);
  tell(name, counts, (performance.now() - start) / 1000);
}

/**
 * @param {string} name
 * @param {Counts} counts
 * @param {number} seconds
 */
function tell(name, { passed, failed, skipped }, seconds) {
  console.log(`${name}: ${passed} passed, ${failed} failed, ${skipped} skipped (${seconds.toFixed(1)} s)`);
}

/**
 * @param {Counts} sum
 * @param {Counts} counts
 */
function add(sum, counts) {
  sum.passed += counts.passed;
  sum.failed += counts.failed;
  sum.skipped += counts.skipped;
}

/** @param {number} start */
function secondsSince(start) {
  return ((performance.now() - start) / 1000).toFixed(1);
}

function finish() {
  rmSync(scratch, { recursive: true, force: true });
  for (const failure of failures) console.log(`failed: ${failure}`);
  console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
  process.exit(total.failed === 0 ? 0 : 1);
}
