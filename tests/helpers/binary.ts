import { existsSync, readFileSync, readdirSync, readlinkSync } from "node:fs";
import { mkdir, mkdtemp, realpath, rm } from "node:fs/promises";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";

import { binary, buildWhenStale } from "../../scripts/toolchain.mjs";
import { patience } from "./patience.ts";

export interface GockerOptions {
  /** What the command reads; without it stdin is empty. */
  readonly stdin?: string | Uint8Array;
  /** Added to the environment, which otherwise has only PATH, HOME, GOCKER_ROOT and GOCKER_STATE. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Words of a program that runs gocker: it, and gocker's words, follow these. */
  readonly by?: readonly string[];
  /** Milliseconds after which the command is killed and the call throws; 30 seconds unless told; {@link patience} multiplies it. */
  readonly timeout?: number;
}

export interface GockerResult {
  readonly stdout: string;
  readonly stderr: string;
  /** 128 + n when a signal n ended it. */
  readonly exitCode: number;
  /** stdout as it came, for what is not text. */
  readonly bytes: Uint8Array;
}

let isBuilt = false;

/** The path of `dist/gocker`, built from the sources that lie there now; once per test run. */
export function gockerBinary(): string {
  if (!isBuilt) buildWhenStale();
  isBuilt = true;
  return binary;
}

/**
 * Runs the compiled binary to its end. Nothing of the caller's environment reaches it. Most tests want
 * {@link createSandbox}, which gives it a store of its own.
 */
export async function gocker(args: readonly string[], options: GockerOptions = {}): Promise<GockerResult> {
  const timeout = patience(options.timeout ?? 30_000);
  const child = Bun.spawn([...(options.by ?? []), gockerBinary(), ...args], {
    stdin: typeof options.stdin === "string" ? new TextEncoder().encode(options.stdin) : (options.stdin ?? "ignore"),
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: process.env["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin", HOME: tmpdir(), ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    timeout,
    killSignal: "SIGKILL",
  });
  const start = performance.now();
  const [bytes, stderr] = await Promise.all([child.stdout.bytes(), child.stderr.text()]);
  await child.exited;
  if (child.signalCode === "SIGKILL" && performance.now() - start >= timeout) {
    throw new Error(`gocker ${args.join(" ")} did not end within ${timeout} ms; stderr: ${stderr}`);
  }
  const exitCode = child.exitCode ?? 128 + signalNumber(child.signalCode);
  return { stdout: new TextDecoder().decode(bytes), stderr, exitCode, bytes };
}

/**
 * A store and a run-time state of gocker's in a temporary directory. Disposal throws when a test left a mount or a
 * process of it, after undoing them: `await using sandbox = await createSandbox()`.
 */
export class Sandbox implements AsyncDisposable {
  /** Everything of this sandbox; tests may put files of their own here. */
  readonly directory: string;
  /** GOCKER_ROOT. */
  readonly root: string;
  /** GOCKER_STATE. */
  readonly state: string;
  /** The environment that makes gocker use this sandbox. */
  readonly environment: Readonly<Record<string, string>>;

  constructor(directory: string) {
    this.directory = directory;
    this.root = join(directory, "root");
    this.state = join(directory, "state");
    // Containers that ask for no network must not change this machine's: those that do are in networks of tests.
    this.environment = { HOME: directory, GOCKER_ROOT: this.root, GOCKER_STATE: this.state, GOCKER_NETWORK: "host" };
  }

  gocker(args: readonly string[], options: GockerOptions = {}): Promise<GockerResult> {
    return gocker(args, { ...options, env: { ...this.environment, ...options.env } });
  }

  /** Mount points below the sandbox in this mount namespace, the innermost first. */
  mounts(): string[] {
    const lines = readFileSync("/proc/self/mountinfo", "utf8").trimEnd().split("\n");
    const points = lines.map((line) => unescapeOctal(line.split(" ")[4] ?? ""));
    return points.filter((point) => point.startsWith(`${this.directory}/`)).toReversed();
  }

  /** Processes of gocker that use this sandbox, and those whose root file system lies in it. */
  processes(): number[] {
    const numbers = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
    return numbers.map(Number).filter((pid) => pid !== process.pid && this.#uses(pid));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const left: string[] = [];
    for (const pid of this.processes()) {
      left.push(`process ${pid} (${readProcess(pid, "cmdline").replaceAll("\0", " ").trim()})`);
      kill(pid);
    }
    for (const point of this.mounts()) {
      left.push(`mount ${point}`);
      Bun.spawnSync(["umount", "-l", point]);
    }
    await rm(this.directory, { recursive: true, force: true });
    if (existsSync(this.directory)) left.push(`directory ${this.directory}`);
    if (left.length > 0) throw new Error(`the test left behind: ${left.join(", ")}`);
  }

  #uses(pid: number): boolean {
    const words = readProcess(pid, "cmdline").split("\0");
    const isHelper = /^gocker-(monitor|sweeper|names)$/.test(words[0] ?? "");
    if (isHelper && words[1]?.includes(`"root":"${this.root}"`) === true) return true;
    if (readProcess(pid, "environ").split("\0").includes(`GOCKER_ROOT=${this.root}`)) {
      return readProcessLink(pid, "exe").replace(/ \(deleted\)$/, "") === binary;
    }
    // The root of a container's mount namespace is an overlay whose options name the sandbox's directories.
    const lines = readProcess(pid, "mountinfo").split("\n");
    const rootMount = lines.find((line) => line.split(" ")[4] === "/");
    return rootMount?.includes(this.directory) ?? false;
  }
}

export async function createSandbox(): Promise<Sandbox> {
  const sandbox = new Sandbox(await realpath(await mkdtemp(join(tmpdir(), "gocker-sandbox-"))));
  await mkdir(sandbox.root);
  await mkdir(sandbox.state);
  return sandbox;
}

function readProcess(pid: number, file: "cmdline" | "environ" | "mountinfo"): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    // It has ended meanwhile.
    return "";
  }
}

function readProcessLink(pid: number, file: "exe"): string {
  try {
    return readlinkSync(`/proc/${pid}/${file}`);
  } catch {
    return "";
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended meanwhile.
  }
}

/** mountinfo writes space, tab, newline and backslash as octal numbers (proc_pid_mountinfo(5)). */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

function signalNumber(name: number | NodeJS.Signals | null): number {
  if (typeof name === "number") return name;
  return name === null ? 0 : constants.signals[name];
}
