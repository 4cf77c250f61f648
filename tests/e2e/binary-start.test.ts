import { afterAll, beforeAll, expect, test } from "bun:test";
import { cp, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

// `npm start` in a copy of the repository whose command line is a stand-in: what is tested is the way to it.
const repository = resolve(import.meta.dir, "../..");

const commandLine = (greeting: string): string => `
  export async function main(words: string[]): Promise<number> {
    if (words[0] === "code") return Number(words[1]);
    if (words[0] === "copy") await Bun.write(Bun.stdout, await Bun.stdin.bytes());
    else if (words[0] === "kill") process.kill(process.pid, words[1]);
    else if (words[0] === "wait") {
      process.on("SIGTERM", () => process.exit(43));
      console.log("ready");
      await new Promise(() => setInterval(() => {}, 1000));
    } else console.log(JSON.stringify([${JSON.stringify(greeting)}, ...words]));
    return 0;
  }
`;

let copy: string;

beforeAll(async () => {
  copy = await mkdtemp(join(tmpdir(), "gocker-start-"));
  const paths = ["src/main.ts", "src/util/version.ts", "scripts", "package.json", "package-lock.json", "tsconfig.json"];
  for (const path of paths) {
    await mkdir(dirname(join(copy, path)), { recursive: true });
    await cp(join(repository, path), join(copy, path), { recursive: true });
  }
  await symlink(join(repository, "node_modules"), join(copy, "node_modules"));
  await Bun.write(join(copy, "src/cli/app.ts"), commandLine("hello"));
  await Bun.write(join(copy, "src/cli/oci/app.ts"), commandLine("runtime"));
  await Bun.write(join(copy, "src/engine/monitor.ts"), "export function runMonitor() {}\n");
  await Bun.write(join(copy, "src/engine/network/sweeper.ts"), "export function runSweeper() {}\n");
  await Bun.write(join(copy, "src/engine/network/name-process.ts"), "export function runNameProcess() {}\n");
});

afterAll(() => rm(copy, { recursive: true, force: true }));

async function start(words: string[], stdin?: Uint8Array) {
  const child = Bun.spawn(["node", "scripts/start.mjs", ...words], {
    cwd: copy,
    stdin: stdin ?? "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.bytes(), child.stderr.text()]);
  return { stdout: Buffer.from(stdout), stderr, exitCode: await child.exited };
}

test("the first start builds and says so on stderr, the next one does neither", async () => {
  const first = await start(["run", "alpine", "--help"]);
  expect(first.stdout.toString()).toBe('["hello","run","alpine","--help"]\n');
  expect(first.stderr).toContain("building dist/gocker");
  expect(await start(["run", "-x"])).toEqual({
    stdout: Buffer.from('["hello","run","-x"]\n'),
    stderr: "",
    exitCode: 0,
  });
});

test("without words it runs the built-in image", async () => {
  expect((await start([])).stdout.toString()).toBe('["hello","run","gocker/hello"]\n');
});

test("stdin and stdout pass bytes unchanged", async () => {
  const bytes = new Uint8Array(300_000).map((_, index) => (index * 7) % 256);
  const { stdout } = await start(["copy"], bytes);
  expect(stdout.equals(bytes)).toBe(true);
});

test("exit codes and signals are the binary's", async () => {
  expect((await start(["code", "3"])).exitCode).toBe(3);
  expect((await start(["code", "127"])).exitCode).toBe(127);
  expect((await start(["kill", "SIGKILL"])).exitCode).toBe(137);
});

test("a signal to the start script reaches the binary", async () => {
  const child = Bun.spawn(["node", "scripts/start.mjs", "wait"], { cwd: copy, stdin: "ignore", stdout: "pipe" });
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  expect(new TextDecoder().decode(value)).toBe("ready\n");
  child.kill("SIGTERM");
  expect(await child.exited).toBe(43);
});

test("a changed source is built again", async () => {
  await Bun.write(join(copy, "src/cli/app.ts"), commandLine("changed"));
  const { stdout, stderr } = await start(["x"]);
  expect(stderr).toContain("building dist/gocker");
  expect(stdout.toString()).toBe('["changed","x"]\n');
});

test("a build that fails ends with 125 and leaves the last binary alone", async () => {
  await Bun.write(join(copy, "src/cli/app.ts"), 'import { nothing } from "./nowhere.ts"; export { nothing as main };');
  const { stdout, stderr, exitCode } = await start(["x"]);
  expect({ stdout: stdout.toString(), exitCode }).toEqual({ stdout: "", exitCode: 125 });
  expect(stderr).toContain("./nowhere.ts");
  const last = Bun.spawnSync([join(copy, "dist/gocker"), "x"]);
  expect(last.stdout.toString()).toBe('["changed","x"]\n');
});
