import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { compile, definitions } from "../../scripts/build/compile.ts";
import { hostTargetName } from "../../scripts/build/runtime.ts";
import { libraryName, parseTarget, targets } from "../../scripts/build/targets.ts";
import { gockerBinary } from "../helpers/binary.ts";
import { makeCertificates } from "../helpers/certificates.ts";

// Compiled as gocker is, a probe must not react to anything that its caller or the current directory says. The same
// probe, compiled without gocker's precautions, is the control: it shows that the attack works where nobody prevents it.
const repository = resolve(import.meta.dir, "../..");
const sources = import.meta.dir;
const strace = Bun.which("strace");
if (strace === null) console.warn("the C library's name is not tested: strace is not installed");
const entrypoints = [join(sources, "probe/main.ts"), join(sources, "probe/echo-worker.ts")];

let directory: string;
let probe: string;
let control: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "gocker-probe-"));
  probe = join(directory, "probe");
  control = join(directory, "control");
  const target = parseTarget(hostTargetName());
  await compile({ repository, entrypoints, sources, target, outfile: probe, programName: "probe" });
  await Bun.build({ entrypoints, root: sources, target: "bun", compile: { outfile: control }, env: "disable" });
});

afterAll(() => rm(directory, { recursive: true, force: true }));

interface Run {
  stdout: string;
  stderr: string;
  exitCode: number | null;
  /** Files that appeared in the current directory. */
  created: string[];
}

/** Runs a program in a fresh directory with `files` in it; `$CWD` in the environment's values is that directory. */
async function run(
  program: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  files: Readonly<Record<string, string>> = {},
): Promise<Run> {
  const cwd = await mkdtemp(join(directory, "cwd-"));
  for (const [name, text] of Object.entries(files)) await Bun.write(join(cwd, name), text);
  const env = Object.fromEntries(
    Object.entries(environment).map(([name, value]) => [name, value.replaceAll("$CWD", cwd)]),
  );
  const child = Bun.spawn([program, ...args], {
    cwd,
    env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    // A debugger that waits for its client never ends by itself.
    timeout: 10_000,
    killSignal: "SIGKILL",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  await child.exited;
  const given = new Set(Object.keys(files).map((name) => name.split("/")[0]));
  const created = (await readdir(cwd)).filter((name) => !given.has(name)).sort();
  return { stdout, stderr, exitCode: child.exitCode, created };
}

const untouched: Run = { stdout: '{"answer":"ran","variable":null}\n', stderr: "", exitCode: 0, created: [] };

const evil = { "evil.ts": 'console.log("EVIL");\n' };

interface Attack {
  name: string;
  environment?: Record<string, string>;
  files?: Record<string, string>;
  args?: string[];
  /** The control does not react, or only in a way that a test cannot see; the reason. */
  withoutControl?: string;
}

const attacks: Attack[] = [
  { name: "BUN_BE_BUN", environment: { BUN_BE_BUN: "1" }, args: ["--version"] },
  { name: "BUN_OPTIONS with --preload", environment: { BUN_OPTIONS: "--preload $CWD/evil.ts" }, files: evil },
  { name: "BUN_OPTIONS with a profile", environment: { BUN_OPTIONS: "--cpu-prof" } },
  { name: "BUN_INSPECT", environment: { BUN_INSPECT: "6499?wait=1" } },
  {
    name: "BUN_INSPECT_PRELOAD",
    environment: { BUN_INSPECT: "6499?wait=1", BUN_INSPECT_PRELOAD: "$CWD/evil.ts" },
    files: evil,
  },
  {
    name: "BUN_INSPECT_CONNECT_TO",
    environment: { BUN_INSPECT_CONNECT_TO: "ws://127.0.0.1:9/" },
    withoutControl: "nobody listens there",
  },
  {
    name: "BUN_BYTECODE_ORDER_OUT",
    environment: { BUN_BYTECODE_ORDER_OUT: "$CWD/order" },
    withoutControl: "the control has no bytecode",
  },
  {
    name: "BUN_BYTECODE_DIGEST_OUT",
    environment: { BUN_BYTECODE_DIGEST_OUT: "$CWD/digest" },
    withoutControl: "the control has no bytecode",
  },
  {
    name: "BUN_TRACE",
    environment: { BUN_TRACE: "$CWD/trace" },
    withoutControl: "the probe does nothing that is traced",
  },
  { name: "BUN_JSC_dumpOptions", environment: { BUN_JSC_dumpOptions: "2" } },
  { name: "an unknown option of the engine", environment: { BUN_JSC_nosuch: "1" } },
  {
    name: "functions overridden from a file",
    environment: { BUN_JSC_functionOverrides: "$CWD/evil.ts" },
    files: evil,
    withoutControl: "what is overridden has to be spelled as in the minified binary",
  },
  { name: "JavaScriptCoreUseJIT", environment: { JavaScriptCoreUseJIT: "0" }, withoutControl: "it is only slower" },
  { name: "NODE_CHANNEL_FD", environment: { NODE_CHANNEL_FD: "1" }, withoutControl: "the probe waits for no messages" },
  {
    name: "NODE_OPTIONS",
    environment: { NODE_OPTIONS: "--require $CWD/evil.ts" },
    files: evil,
    withoutControl: "the runtime leaves it to Node",
  },
  { name: ".env", files: { ".env": "FROM_DOTENV=1\nBUN_JSC_dumpOptions=2\n" } },
  { name: ".env.production", files: { ".env.production": "FROM_DOTENV=1\n" }, environment: { NODE_ENV: "production" } },
  { name: "bunfig.toml", files: { ...evil, "bunfig.toml": 'preload = ["./evil.ts"]\n' } },
  {
    name: "tsconfig.json",
    files: { ...evil, "tsconfig.json": '{"compilerOptions":{"paths":{"*":["./evil.ts"]}}}' },
    args: ["lazy"],
    withoutControl: "off by default",
  },
  {
    name: "package.json",
    files: { ...evil, "package.json": '{"main":"./evil.ts","imports":{"#*":"./evil.ts"},"type":"commonjs"}' },
    args: ["lazy"],
    withoutControl: "off by default",
  },
  {
    name: "files named as modules of the binary",
    files: { "lazy.ts": evil["evil.ts"], "main.ts": evil["evil.ts"], "probe/echo-worker.ts": evil["evil.ts"] },
    args: ["worker"],
    withoutControl: "the path of the Worker is absolute",
  },
];

function expected(args: readonly string[] = []): Run {
  const answers: Record<string, string> = {
    lazy: "loaded from the binary",
    worker: "ping: loaded from the binary",
  };
  return { ...untouched, stdout: `${JSON.stringify({ answer: answers[args[0] ?? ""] ?? "ran", variable: null })}\n` };
}

describe("the compiled binary does not react to", () => {
  test.each(attacks)("$name", async ({ environment = {}, files, args = [] }) => {
    expect(await run(probe, args, environment, files)).toEqual(expected(args));
  });
});

describe("without precautions a binary does react to", () => {
  const visible = attacks.filter(({ withoutControl }) => withoutControl === undefined);
  test.each(visible)("$name", async ({ environment = {}, files, args = [] }) => {
    expect(await run(control, args, environment, files)).not.toEqual(expected(args));
  });
});

test("code is loaded from nowhere but the binary", async () => {
  const file = join(directory, "evil.ts");
  await Bun.write(file, "export const lazy = 'EVIL';");
  expect(await run(probe, ["import", file], {})).toEqual({
    ...untouched,
    stdout: '{"answer":{"error":"EvalError"},"variable":null}\n',
  });
  expect((await run(control, ["import", file], {})).stdout).toContain("EVIL");
});

describe("the C library", () => {
  test.each(targets.map(({ name }) => name))("has one name in the binary for %s", async (name) => {
    const built = await Bun.build({
      entrypoints: [join(repository, "src/linux/libc.ts")],
      target: "bun",
      minify: true,
      define: definitions(parseTarget(name)),
    });
    const text = (await built.outputs[0]?.text()) ?? "";
    const names = text.match(/libc\.(?:so\.6|musl-[^"'`]*)/g);
    const musl = { "linux-x64-musl": "libc.musl-x86_64.so.1", "linux-arm64-musl": "libc.musl-aarch64.so.1" };
    expect(names).toEqual([musl[name as keyof typeof musl] ?? "libc.so.6"]);
  });

  test.skipIf(strace === null)("is not looked for in the current directory", async () => {
    const cwd = await mkdtemp(join(directory, "cwd-"));
    for (const name of new Set(targets.map(libraryName))) await Bun.write(join(cwd, name), "no library");
    const trace = join(cwd, "trace");
    const opened = async (...command: string[]) => {
      const child = Bun.spawn([strace ?? "", "-f", "-e", "trace=open,openat", "-o", trace, ...command], {
        cwd,
        env: {},
        stdio: ["ignore", "ignore", "ignore"],
      });
      await child.exited;
      return (await Bun.file(trace).text()).split("\n").filter((line) => /libc\.(?:so\.6|musl)/.test(line));
    };
    // The host's, by the path that the loader has for it.
    const found = await opened(gockerBinary(), "oci", "--root", join(cwd, "none"), "list");
    expect(found.length).toBeGreaterThan(0);
    expect(found.filter((line) => line.includes(cwd) || !/"\/[^"]*", /.test(line))).toEqual([]);
    // The control: a name that the loader does not find.
    const other = libraryName(parseTarget(hostTargetName().endsWith("-musl") ? "linux-x64" : "linux-x64-musl"));
    const script = `require("bun:ffi").dlopen(${JSON.stringify(other)}, { getpid: { args: [], returns: "i32" } })`;
    const searched = await opened(process.execPath, "-e", script);
    expect(searched.some((line) => line.includes(`"${cwd}/${other}"`))).toBe(!hostTargetName().endsWith("-musl"));
  });
});

test("entries with empty names, which only a raw execve can make, are nobody's", async () => {
  // The disarmed names begin with NUL, so as C strings they are empty.
  const entries = ["", "=1", "UN_BE_BUN=1", "", "UN_JSC_dumpOptions=2"];
  const libc = hostTargetName().endsWith("musl")
    ? `ld-musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`
    : "libc.so.6";
  const script = `
    import { dlopen, ptr } from "bun:ffi";
    const { symbols } = dlopen("${libc}", { execve: { args: ["ptr", "ptr", "ptr"], returns: "int" } });
    const kept = [];
    const vector = (texts) => {
      const addresses = texts.map((text) => {
        const bytes = new TextEncoder().encode(text + "\\0");
        kept.push(bytes);
        return BigInt(ptr(bytes));
      });
      return new BigUint64Array([...addresses, 0n]);
    };
    const [program, ...entries] = process.argv.slice(1);
    symbols.execve(Buffer.from(program + "\\0"), vector([program]), vector(entries));
  `;
  const child = Bun.spawn([process.execPath, "-e", script, probe, ...entries], { stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  expect({ stdout, stderr, exitCode: await child.exited }).toEqual({
    stdout: untouched.stdout,
    stderr: "",
    exitCode: 0,
  });
});

describe("with a server whose certificate nobody vouches for", () => {
  let server: Bun.Server<undefined>;
  let authority: string;
  let url: string;

  beforeAll(async () => {
    const folder = join(directory, "certificates");
    await mkdir(folder);
    const certificates = await makeCertificates(folder);
    authority = certificates.authority;
    server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      tls: { cert: Bun.file(certificates.certificate), key: Bun.file(certificates.key) },
      fetch: () => new Response("ok"),
    });
    url = `https://127.0.0.1:${server.port}/`;
  });

  afterAll(() => server.stop(true));

  const trusted = '{"answer":{"status":200},"variable":null}\n';

  test("NODE_TLS_REJECT_UNAUTHORIZED does not make it trusted", async () => {
    const environment = { NODE_TLS_REJECT_UNAUTHORIZED: "0" };
    const { stdout } = await run(probe, ["fetch", url], environment);
    expect(stdout).toContain('"error"');
    expect((await run(control, ["fetch", url], environment)).stdout).toBe(trusted);
  });

  test("NODE_EXTRA_CA_CERTS and SSL_CERT_FILE do, since they name an authority", async () => {
    expect((await run(probe, ["fetch", url], { NODE_EXTRA_CA_CERTS: authority })).stdout).toBe(trusted);
    expect((await run(probe, ["fetch", url], { SSL_CERT_FILE: authority })).stdout).toBe(trusted);
  });

  test("BUN_CONFIG_VERBOSE_FETCH prints no request", async () => {
    const environment = { BUN_CONFIG_VERBOSE_FETCH: "curl", NODE_EXTRA_CA_CERTS: authority };
    const { stdout, stderr } = await run(probe, ["fetch", url], environment);
    expect({ stdout, stderr }).toEqual({ stdout: trusted, stderr: "" });
    expect((await run(control, ["fetch", url], environment)).stderr).toContain("secret");
  });
});
