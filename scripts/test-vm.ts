/**
 * Runs tests in a virtual machine that has what this one may lack: cgroups of version 2 alone, all capabilities, and
 * Debian's kernel. `node scripts/bun.mjs scripts/test-vm.ts [OPTIONS] [TEST FILE…]`
 */
import { copyFileSync, existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { outputOf } from "./bench/command.ts";
import { buildWhenStale, repository, runAsOwner, ToolchainError } from "./toolchain.mjs";
import { Machine, outputPath } from "./vm/machine.ts";
import { bootModules } from "./vm/modules.ts";

const usage = `usage: bun scripts/test-vm.ts [OPTIONS] [TEST FILE...]
  --results FILE   write the results there too, as JUnit's XML
  --systemd        with systemd as the first process, and the tests that need it
  --minutes N      when it is switched off, whatever it does (10)
The exit code is 3 where there is no qemu (qemu-system-x86_64 in PATH, or GOCKER_QEMU) or no kernel for it.`;

/** Those that cgroups decide about, and the lives of containers: as many as the time allows on a busy machine too. */
const defaultTests = [
  "tests/security/cgroup*.test.ts",
  "tests/e2e/oci-{cgroups,conflicts,exec,hooks,lifecycle,user-namespace}.test.ts",
  "tests/e2e/{run-{container,disk-size,process},update}.test.ts",
].flatMap((pattern) => [...new Bun.Glob(pattern).scanSync(repository)].toSorted());

/** Those that need systemd. */
const systemdTests = ["tests/security/systemd-cgroup.test.ts"];
const systemd = "/lib/systemd/systemd";

/** How much longer than here anything may take there: every instruction is translated. */
const slowness = Number(process.env["GOCKER_TEST_SLOWNESS"] ?? 10);
/** Milliseconds that one test may take there where it does not say so itself. */
const testTimeout = 18_000 * slowness;
/** Kept under a name that tells which modules are in it. */
const boot = join(repository, ".cache", "vm", `debian-amd64-${Bun.hash(bootModules.join()).toString(36)}`);

const { values, positionals } = readArguments();
const minutes = Number(values.minutes ?? 10);
if (!(minutes > 0)) fail(2, usage);
const tests = positionals.length > 0 ? positionals : values.systemd ? systemdTests : defaultTests;
const missing = tests.filter((path) => !existsSync(join(repository, path)));
if (missing.length > 0) fail(2, `no such tests: ${missing.join(", ")}`);

if (values.systemd && !existsSync(systemd)) fail(3, `there is no ${systemd}: sudo apt-get install systemd`);

/** The exit code as a shell has it for what SIGINT ended. */
const interrupted = 130;
const interruption = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => interruption.abort());

const qemu = findQemu();
const kernelPackage = findKernelPackage();
prepare();
process.exitCode = await runTests();

function findQemu(): string {
  if (process.arch !== "x64") fail(3, "the virtual machine is one for x86-64, which this machine is not");
  const wanted = process.env["GOCKER_QEMU"] ?? "qemu-system-x86_64";
  const found = Bun.which(wanted);
  if (found !== null) return found;
  return fail(3, `there is no ${wanted}: sudo apt-get install --no-install-recommends qemu-system-x86`);
}

/** The package that `linux-image-amd64`, which has no files itself, stands for now; none where its files are here. */
function findKernelPackage(): string | undefined {
  if (existsSync(boot)) return undefined;
  const dependencies = outputOf("apt-cache", "depends", "--important", "linux-image-amd64") ?? "";
  const name = /^ *Depends: (linux-image-\d\S*)$/m.exec(dependencies)?.[1];
  return name ?? fail(3, "Debian's kernel is not to be had: apt knows no linux-image-amd64 (sudo apt-get update)");
}

/** Builds the binary and fetches the kernel, as far as they are not there. */
function prepare(): void {
  try {
    buildWhenStale();
    if (kernelPackage === undefined) return;
    console.error(`gocker: fetching ${kernelPackage} for the virtual machine`);
    runAsOwner([process.execPath, join(repository, "scripts", "vm", "fetch.ts"), boot, kernelPackage]);
  } catch (error) {
    if (!(error instanceof ToolchainError)) throw error;
    fail(1, error.message);
  }
}

async function runTests(): Promise<number> {
  if (interruption.signal.aborted) return interrupted;
  const results = "results.xml";
  const corpus = process.env["GOCKER_CORPUS"];
  using machine = new Machine({
    qemu,
    boot,
    directory: repository,
    command: [
      process.execPath,
      "test",
      `--timeout=${testTimeout}`,
      "--reporter=junit",
      `--reporter-outfile=${outputPath(results)}`,
      ...tests.map((path) => `./${path}`),
    ],
    environment: {
      PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      HOME: "/root",
      LANG: "C.UTF-8",
      ...(corpus === undefined ? {} : { GOCKER_CORPUS: resolve(corpus) }),
      GOCKER_TEST_SLOWNESS: String(slowness),
      ...(process.stdout.isTTY ? { TERM: "linux" } : { NO_COLOR: "1" }),
    },
    systemd: values.systemd,
    limit: minutes * 60_000,
    signal: interruption.signal,
  });
  const end = await machine.run();
  if (interruption.signal.aborted) return interrupted;
  if (values.results !== undefined && existsSync(machine.output(results))) {
    copyFileSync(machine.output(results), values.results);
  }
  if ("exitCode" in end) return end.exitCode === 0 ? 0 : 1;
  console.error(`the virtual machine: ${end.problem}`);
  return 1;
}

function readArguments() {
  try {
    const parsed = parseArgs({
      allowPositionals: true,
      options: {
        results: { type: "string" },
        minutes: { type: "string" },
        systemd: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (!parsed.values.help) return parsed;
    console.log(usage);
    process.exit(0);
  } catch (error) {
    return fail(2, `${error instanceof Error ? error.message : String(error)}\n${usage}`);
  }
}

function fail(code: number, message: string): never {
  console.error(message);
  process.exit(code);
}
