import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { errnoName } from "../../src/linux/errno.ts";
import { hostArchitecture } from "../../src/linux/arch.ts";
import { type SyscallAbi, syscallTable } from "../../src/linux/syscalls.ts";
import { createSandbox, type GockerOptions, type GockerResult, type Sandbox } from "./binary.ts";
import { makeTar, type TarMemberInput } from "./tar.ts";
import { isRoot } from "./temporary.ts";

const busybox = "/bin/busybox";
const compiler = Bun.which("gcc") ?? Bun.which("cc");

/** Whether images to attack with can be made here: root, a static busybox, a C compiler with a static C library. */
export const canAttack = isRoot && existsSync(busybox) && compiler !== null;

if (!canAttack) console.warn("escape tests are skipped: they need root, busybox-static, gcc and libc6-dev");

/** An image that is made to attack. It stands on a busybox, and a program that makes any system call. */
export interface AttackImage {
  /** Layers above busybox's, lowest first. */
  readonly layers?: readonly (readonly TarMemberInput[])[];
  /** The `config` object of the image config. */
  readonly config?: Readonly<Record<string, unknown>>;
}

/** How a command ended. */
export type Outcome = Pick<GockerResult, "stdout" | "stderr" | "exitCode">;

/**
 * An argument of a system call: a number; a text; a buffer to be filled; bytes; 32-bit words; or the result of an earlier
 * call of the same list.
 */
export type CallArgument =
  | number
  | string
  | { readonly output: number }
  | { readonly bytes: Uint8Array }
  | { readonly words: readonly number[] }
  | { readonly resultOf: number };

/** A system call: `openat`, or `i386:socketcall` by another interface of the kernel. */
export type Call = readonly [name: string, ...args: CallArgument[]];

/** What a system call came to: the name of its error, or the result followed by what is in its buffers (hexadecimal). */
export type CallResult = string;

/** Where tests attack from: a store of its own, and images that are loaded into it from archives made in memory. */
export class AttackGround implements AsyncDisposable {
  readonly sandbox: Sandbox;
  readonly #base: Buffer;

  private constructor(sandbox: Sandbox, base: Buffer) {
    this.sandbox = sandbox;
    this.#base = base;
  }

  /** A store with the image `attack` in it: busybox alone. */
  static async create(): Promise<AttackGround> {
    const ground = new AttackGround(await createSandbox(), baseLayer());
    await ground.load("attack", {});
    return ground;
  }

  /** Loads an image. @throws Error when gocker refuses it */
  async load(name: string, image: AttackImage): Promise<void> {
    const { exitCode, stderr } = await this.tryLoad(name, image);
    if (exitCode !== 0) throw new Error(`gocker load: ${stderr}`);
  }

  /** Loads an image that gocker may refuse. */
  tryLoad(name: string, { layers = [], config = {} }: AttackImage): Promise<Outcome> {
    const contents = [this.#base, ...layers.map((members) => makeTar(members))];
    return this.loadArchive(dockerArchive(name, contents, config));
  }

  async loadArchive(archive: Uint8Array): Promise<Outcome> {
    const path = join(this.sandbox.directory, `archive-${crypto.randomUUID()}.tar`);
    await Bun.write(path, archive);
    try {
      return await this.gocker(["load", "-q", "-i", path]);
    } finally {
      rmSync(path);
    }
  }

  async gocker(words: readonly string[], options?: GockerOptions): Promise<Outcome> {
    const { stdout, stderr, exitCode } = await this.sandbox.gocker(words, options);
    return { stdout, stderr, exitCode };
  }

  /** `gocker run --rm --network none` with these words. */
  run(words: readonly string[], options?: GockerOptions): Promise<Outcome> {
    return this.gocker(["run", "--rm", "--network", "none", ...words], options);
  }

  /** What a shell script prints in a container of the image. @throws Error when it fails, or prints errors */
  async shell(script: string, flags: readonly string[] = [], image = "attack"): Promise<string> {
    const { stdout, stderr, exitCode } = await this.run([...flags, image, "sh", "-c", script]);
    if (exitCode !== 0 || stderr !== "") throw new Error(`the container ended with ${exitCode}: ${stdout}${stderr}`);
    return stdout;
  }

  /** Makes system calls in a container, one after the other in one process. */
  async calls(calls: readonly Call[], flags: readonly string[] = [], image = "attack"): Promise<CallResult[]> {
    const { stdout, stderr, exitCode } = await this.run([...flags, image, ...callWords(calls)]);
    if (exitCode !== 0 || stderr !== "") throw new Error(`the container ended with ${exitCode}: ${stderr}`);
    return callResults(stdout);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sandbox[Symbol.asyncDispose]();
  }
}

/** The words that make a container make these calls. */
export function callWords(calls: readonly Call[]): string[] {
  const words = calls.map(([name, ...args]) => [numberOf(name), ...args.map(argumentWord)]);
  return ["/bin/system-calls", ...words.flatMap((call, index) => (index === 0 ? call : [",", ...call]))];
}

/** What the calls came to, from what the container printed. */
export function callResults(stdout: string): CallResult[] {
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => {
      const [result = "", ...rest] = line.split(" ");
      return Number(result) < 0 ? errnoName(-Number(result)) : [result, ...rest].join(" ");
    });
}

function numberOf(name: string): string {
  const colon = name.indexOf(":");
  const abi = (colon < 0 ? hostArchitecture : name.slice(0, colon)) as SyscallAbi;
  const number = syscallTable(abi).get(name.slice(colon + 1));
  if (number === undefined) throw new Error(`there is no system call ${name}`);
  return colon < 0 ? String(number) : `${abi}:${number}`;
}

function argumentWord(argument: CallArgument): string {
  if (typeof argument === "number") return String(argument);
  if (typeof argument === "string") return `s:${argument}`;
  if ("output" in argument) return `o:${argument.output}`;
  if ("bytes" in argument) return `b:${Buffer.from(argument.bytes).toString("hex")}`;
  if ("words" in argument) return `w:${argument.words.join("/")}`;
  return `$${argument.resultOf}`;
}

/** What `docker save` writes, of one image. */
export function dockerArchive(name: string, layers: readonly Uint8Array[], config: object): Buffer {
  const files = layers.map((content, index) => ({ name: `layer${index}.tar`, content }));
  const digests = layers.map((layer) => `sha256:${new Bun.CryptoHasher("sha256").update(layer).digest("hex")}`);
  const imageConfig = {
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    os: "linux",
    config,
    rootfs: { type: "layers", diff_ids: digests },
  };
  const manifest = [{ Config: "config.json", RepoTags: [`${name}:latest`], Layers: files.map((file) => file.name) }];
  return makeTar([
    ...files,
    { name: "config.json", content: Buffer.from(JSON.stringify(imageConfig)) },
    { name: "manifest.json", content: Buffer.from(JSON.stringify(manifest)) },
  ]);
}

let base: Buffer | undefined;

/** Busybox with all its names, the program of system-calls.c, and the directories that programs expect. */
function baseLayer(): Buffer {
  if (base !== undefined) return base;
  const applets = spawnSync(busybox, ["--list"], { encoding: "utf8" }).stdout.trim().split("\n");
  base = makeTar([
    ...["bin/", "etc/", "tmp/", "root/"].map((name) => ({ name })),
    { name: "bin/busybox", mode: 0o755, content: readFileSync(busybox) },
    { name: "bin/system-calls", mode: 0o755, content: compileSystemCalls() },
    ...applets
      .filter((applet) => applet !== "busybox")
      .map((applet) => ({ name: `bin/${applet}`, type: "2", link: "busybox" })),
    { name: "etc/passwd", content: "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n" },
    { name: "etc/group", content: "root:x:0:\nnogroup:x:65534:\n" },
  ]);
  return base;
}

/** The program of system-calls.c, for containers and for the host. */
export function compileSystemCalls(): Buffer {
  const directory = mkdtempSync(join(tmpdir(), "gocker-compile-"));
  try {
    const program = join(directory, "system-calls");
    const source = join(import.meta.dir, "system-calls.c");
    const { status, stderr } = spawnSync(compiler as string, ["-static", "-Os", "-o", program, source], {
      encoding: "utf8",
    });
    if (status !== 0) throw new Error(`the compiler failed: ${stderr}`);
    return readFileSync(program);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** A file of the host that must stay as it is. */
export class Canary {
  readonly path: string;
  readonly #text: string;

  constructor(directory: string, name = `canary-${crypto.randomUUID()}`) {
    this.path = join(directory, name);
    this.#text = `untouched ${crypto.randomUUID()}\n`;
    writeFileSync(this.path, this.#text, { mode: 0o600 });
  }

  /** What only a reader of the file can know. */
  get secret(): string {
    return this.#text.trim();
  }

  get isUntouched(): boolean {
    return readFileSync(this.path, "utf8") === this.#text;
  }
}
