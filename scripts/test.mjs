// `sudo npm test [-- FILTER…]`: installs what the tests need, builds, checks, runs the suites, and looks whether they
// left something on the machine. The last line is the sum: `N passed, N failed, N skipped`.
//
// A filter is a path below tests (`unit/oci`, `e2e/run.test.ts`), the word `check`, or `vm` for test-vm.ts; without one
// everything is run.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { takeSnapshot, whatIsLeft } from "./host-state.mjs";
import { ToolchainError, buildWhenStale, bunExecutable, installWhenStale, repository } from "./toolchain.mjs";

/** In this order: what is quick and tells most comes first. The others start containers and need root. */
const suites = ["unit", "registry", "e2e", "security", "fuzz"];
const suitesWithoutRoot = new Set(["unit"]);

/** Milliseconds that one test may take where it does not say so itself. */
const testTimeout = 60_000;
/** What test-vm.ts ends with where there is no qemu or no kernel for it; it says so itself. */
const unableStatus = 3;

/** Milliseconds for a whole suite: one that hangs must not hold the others up. */
const suiteTimeout = 15 * 60_000;

const isRoot = process.getuid?.() === 0;
const filters = process.argv.slice(2).map((filter) => filter.replace(/^(\.\/)?tests\//, "").replace(/\/$/, ""));
const total = { passed: 0, failed: 0, skipped: 0 };
/** @type {string[]} What failed, told once more at the end: the beginning of a long output may be lost. */
const failures = [];

try {
  installWhenStale();
  if (isRoot && runsMoreThan(["check", "unit"])) installPackages();
  buildWhenStale();
} catch (error) {
  if (!(error instanceof ToolchainError)) throw error;
  console.error(error.message);
  total.failed++;
  finish();
}

const unknown = filters.filter((filter) => ![...suites, "check", "vm"].includes(filter.split("/")[0] ?? ""));
if (unknown.length > 0) {
  console.error(
    `no such tests: ${unknown.join(", ")}; there are check, vm, ${suites.join(", ")} and paths below those`,
  );
  total.failed++;
  finish();
}

const before = takeSnapshot();
if (filters.length === 0 || filters.includes("check")) runCheck();
for (const suite of suites) runSuite(suite);
if (filters.length === 0 || filters.includes("vm")) runInVirtualMachine();
reportLeaks();
finish();

/** @param {string[]} names */
function runsMoreThan(names) {
  return filters.length === 0 || filters.some((filter) => !names.includes(filter.split("/")[0] ?? ""));
}

function runCheck() {
  const start = performance.now();
  const { status } = spawnSync(process.execPath, [join(repository, "scripts", "check.mjs")], { stdio: "inherit" });
  report("check", start, status === 0 ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 });
  if (status !== 0) failures.push("check: see there");
}

/** @param {string} suite */
function runSuite(suite) {
  const chosen = filters.filter((filter) => filter === suite || filter.startsWith(`${suite}/`));
  if (filters.length > 0 && chosen.length === 0) return;
  const folder = join(repository, "tests", suite);
  if (
    !existsSync(folder) ||
    !readdirSync(folder, { recursive: true }).some((name) => String(name).endsWith(".test.ts"))
  ) {
    return;
  }
  const start = performance.now();
  if (!isRoot && !suitesWithoutRoot.has(suite)) {
    console.log(`${suite}: skipped, it needs root (sudo npm test)`);
    report(suite, start, { passed: 0, failed: 0, skipped: 1 });
    return;
  }
  const scratch = mkdtempSync(join(tmpdir(), "gocker-test-"));
  const results = join(scratch, "results.xml");
  const paths = (chosen.length === 0 ? [suite] : chosen).map((path) => `./tests/${path}`);
  const options = [`--timeout=${testTimeout}`, "--reporter=junit", `--reporter-outfile=${results}`];
  console.log(`\n== ${suite}`);
  const { status, signal } = spawnSync(/** @type {string} */ (bunExecutable()), ["test", ...options, ...paths], {
    cwd: repository,
    stdio: ["ignore", "inherit", "inherit"],
    timeout: suiteTimeout,
    killSignal: "SIGKILL",
  });
  const counts = readCounts(results);
  if (signal !== null) console.log(`${suite}: ended by ${signal}`);
  // A run that broke off, or that failed outside of any test (a file that does not load), counts as one failure more.
  if (status !== 0 && counts.failed === 0) {
    counts.failed++;
    failures.push(`${suite}: ended with ${signal ?? status}`);
  }
  rmSync(scratch, { recursive: true, force: true });
  report(suite, start, counts);
}

/** Those that depend on the kernel and its cgroups once more, on a machine that has what this one may lack. */
function runInVirtualMachine() {
  const start = performance.now();
  const scratch = mkdtempSync(join(tmpdir(), "gocker-test-"));
  const results = join(scratch, "results.xml");
  console.log("\n== vm");
  const words = [join(repository, "scripts", "test-vm.ts"), "--results", results];
  const { status } = spawnSync(/** @type {string} */ (bunExecutable()), words, {
    cwd: repository,
    stdio: ["ignore", "inherit", "inherit"],
  });
  const counts = readCounts(results);
  rmSync(scratch, { recursive: true, force: true });
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

/**
 * The sums of a JUnit report, which are attributes of its outermost element; what failed is noted.
 * @param {string} path
 */
function readCounts(path) {
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  const [element = ""] = /<testsuites\b[^>]*>/.exec(text) ?? [];
  for (const [, test = "", failure = ""] of text.matchAll(/<testcase\b([^>]*[^/])>\s*<(?:failure|error)\b([^>]*)/g)) {
    const names = ["file", "classname", "name"].map((name) => attributeOf(test, name)).filter((name) => name !== "");
    failures.push(`${names.join(" > ")}\n    ${attributeOf(failure, "message").replaceAll("\n", "\n    ").trimEnd()}`);
  }
  /** @param {string} name */
  const attribute = (name) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(element)?.[1] ?? 0);
  const failed = attribute("failures") + attribute("errors");
  const skipped = attribute("skipped");
  return { passed: attribute("tests") - failed - skipped, failed, skipped };
}

/**
 * @param {string} attributes
 * @param {string} name
 */
function attributeOf(attributes, name) {
  const text = new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1] ?? "";
  /** @type {Record<string, string>} */
  const characters = { "&quot;": '"', "&lt;": "<", "&gt;": ">", "&amp;": "&", "&apos;": "'", "&#10;": "\n" };
  return text.replaceAll(/&[^;]+;/g, (entity) => characters[entity] ?? entity);
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

/**
 * @param {string} name
 * @param {number} start
 * @param {{ passed: number, failed: number, skipped: number }} counts
 */
function report(name, start, counts) {
  total.passed += counts.passed;
  total.failed += counts.failed;
  total.skipped += counts.skipped;
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`${name}: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped (${seconds} s)`);
}

function finish() {
  for (const failure of failures) console.log(`failed: ${failure}`);
  console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
  process.exit(total.failed === 0 ? 0 : 1);
}

/** Installs those of test-packages.txt that are missing, without starting the services that some of them bring. */
function installPackages() {
  const lines = readFileSync(join(repository, "scripts", "test-packages.txt"), "utf8").split("\n");
  const wanted = lines.filter((line) => line !== "" && !line.startsWith("#"));
  if (!existsSync("/usr/bin/apt-get")) {
    console.error(`This is no Debian: the tests need what these packages contain: ${wanted.join(" ")}`);
    return;
  }
  const query = spawnSync("dpkg-query", ["-W", "-f=${Package} ${db:Status-Status}\n", ...wanted], { encoding: "utf8" });
  const installed = new Set(query.stdout.split("\n").filter((line) => line.endsWith(" installed")));
  const missing = wanted.filter((name) => !installed.has(`${name} installed`));
  if (missing.length === 0) return;
  console.error(`installing what the tests need: ${missing.join(" ")}`);
  const policy = "/usr/sbin/policy-rc.d";
  const hasPolicy = statSync(policy, { throwIfNoEntry: false }) !== undefined;
  // 101: "action forbidden by policy", the way to keep a package's service from being started.
  if (!hasPolicy) writeFileSync(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    for (const words of [["update"], ["install", "-y", "--no-install-recommends", ...missing]]) {
      const { status } = spawnSync("apt-get", ["-q", ...words], {
        stdio: ["ignore", 2, 2],
        env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
      });
      if (status !== 0) throw new ToolchainError(`apt-get ${words.join(" ")} failed`);
    }
  } finally {
    if (!hasPolicy) rmSync(policy, { force: true });
  }
}
