import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { openSync, closeSync, readFileSync, readlinkSync } from "node:fs";
import { hostname, release } from "node:os";
import { join } from "node:path";
import { createSandbox, gockerBinary, type Sandbox } from "../helpers/binary.ts";
import { helloGreeting, helloNamespaces, helloSystemCalls, helloUser } from "../helpers/hello.ts";

const known = Number(readFileSync("/proc/sys/kernel/cap_last_cap", "utf8")) + 1;
const ownOfContainer = ["ipc", "mnt", "pid", "uts"];

function hostNamespace(kind: string): string {
  return readlinkSync(`/proc/self/ns/${kind}`);
}

/** The greeting of a container with that name; what stands in `different` is not as by default. */
function greeting(stdout: string, hostName: string, different: Partial<Parameters<typeof helloGreeting>[0]> = {}) {
  return helloGreeting({
    namespaces: helloNamespaces(stdout),
    pid: "1",
    hostName,
    kernel: release(),
    user: helloUser.root,
    capabilities: `14 of the ${known}`,
    systemCalls: helloSystemCalls.filtered,
    ...different,
  });
}

test("runs at once in an empty store, on a machine without any network", async () => {
  await using sandbox = await createSandbox();
  const idFile = join(sandbox.directory, "id");
  const child = Bun.spawn(["unshare", "--net", "--", gockerBinary(), "run", "--cidfile", idFile, "gocker/hello"], {
    env: { PATH: process.env["PATH"] ?? "", ...sandbox.environment },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  const id = readFileSync(idFile, "utf8").trim();
  expect({ stdout, stderr, exitCode: await child.exited }).toEqual({
    stdout: greeting(stdout, hostname()),
    stderr: "",
    exitCode: 0,
  });
  const namespaces = helloNamespaces(stdout);
  expect(Object.keys(namespaces).toSorted()).toEqual([...ownOfContainer, "cgroup", "net"].toSorted());
  for (const kind of ownOfContainer) expect(namespaces[kind]).not.toBe(hostNamespace(kind));

  // It is an image and a container like any other.
  const { stdout: images } = await sandbox.gocker(["images", "--format", "{{.Repository}}:{{.Tag}} {{.Platform}}"]);
  expect(images).toBe(`gocker/hello:latest linux/${process.arch === "x64" ? "amd64" : "arm64"}\n`);
  const { stdout: containers } = await sandbox.gocker(["ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Image}}"]);
  expect(containers).toBe(`${id} gocker/hello\n`);
  expect(await sandbox.gocker(["rm", id])).toMatchObject({ stdout: `${id}\n`, stderr: "", exitCode: 0 });
});

describe("in one store", () => {
  let sandbox: Sandbox;
  beforeAll(async () => {
    sandbox = await createSandbox();
  });
  afterAll(() => sandbox[Symbol.asyncDispose]());

  const run = (...words: string[]) => sandbox.gocker(["run", "--rm", ...words]);

  test("tells what the options change", async () => {
    const host = /^CapBnd:\t([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
    const all = BigInt(`0x${host}`).toString(2).replaceAll("0", "").length;
    const none = { capabilities: ` 0 of the ${known}` };
    const cases: [string[], Parameters<typeof greeting>[2]][] = [
      [[], {}],
      [["--read-only", "--tmpfs", "/tmp"], {}],
      [["--network", "none"], {}],
      [["-u", "1000:1000"], { user: helloUser.other }],
      [["--cap-drop", "all"], none],
      [["--cap-drop", "all", "--cap-add", "chown"], { capabilities: ` 1 of the ${known}` }],
      [["--security-opt", "seccomp=unconfined"], { systemCalls: helloSystemCalls.all }],
      [["--privileged"], { capabilities: `${all} of the ${known}`, systemCalls: helloSystemCalls.all }],
      // Process 1 is the one that --init puts before it.
      [["--init"], { pid: "2" }],
    ];
    for (const [flags, different] of cases) {
      const { stdout, stderr, exitCode } = await run("-h", "greeter", ...flags, "gocker/hello");
      expect({ flags, stdout, stderr, exitCode }).toEqual({
        flags,
        stdout: greeting(stdout, "greeter", different),
        stderr: "",
        exitCode: 0,
      });
      const isHostNetwork = helloNamespaces(stdout)["net"] === hostNamespace("net");
      expect({ flags, isHostNetwork }).toEqual({ flags, isHostNetwork: !flags.includes("none") });
    }
  });

  test("has a terminal when it is told so", async () => {
    const { stdout, stderr, exitCode } = await run("-t", "-h", "greeter", "gocker/hello");
    expect({ stdout: stdout.replaceAll("\r\n", "\n"), stderr, exitCode }).toEqual({
      stdout: greeting(stdout, "greeter"),
      stderr: "",
      exitCode: 0,
    });
    expect(stdout).toContain("gocker!\r\n");
  });

  test("fails when nobody can be greeted", async () => {
    const full = openSync("/dev/full", "w");
    try {
      const child = Bun.spawn([gockerBinary(), "run", "--rm", "gocker/hello"], {
        env: { ...sandbox.environment },
        stdin: "ignore",
        stdout: full,
        stderr: "pipe",
      });
      const stderr = await child.stderr.text();
      expect(stderr).toStartWith("gocker: write: no space left on device (ENOSPC)\n");
      expect(await child.exited).toBe(125);
    } finally {
      closeSync(full);
    }
  });

  test("has one program and no other", async () => {
    const { stdout, stderr, exitCode } = await run("gocker/hello", "sh");
    expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 127 });
    expect(stderr).toContain("cannot run sh");
    expect((await run("gocker/hello", "/hello")).stdout).toContain("Hello from gocker!");
  });

  test("pull, images and rmi treat it as an image of a registry", async () => {
    const pulled = await sandbox.gocker(["pull", "-q", "gocker/hello"]);
    expect({ ...pulled, bytes: undefined }).toEqual({
      stdout: expect.stringMatching(/^sha256:[0-9a-f]{64}\n$/),
      stderr: "",
      exitCode: 0,
      bytes: undefined,
    });
    const id = pulled.stdout.trim();
    expect((await sandbox.gocker(["images", "-q", "--no-trunc"])).stdout).toBe(`${id}\n`);
    expect(await sandbox.gocker(["rmi", "gocker/hello"])).toMatchObject({
      stdout: `Untagged: gocker/hello:latest\nDeleted: ${id}\n`,
      stderr: "",
      exitCode: 0,
    });
    expect((await sandbox.gocker(["images", "-q"])).stdout).toBe("");
    // It cannot be lost: that nothing may be pulled does not keep it away.
    expect((await run("--pull", "never", "gocker/hello")).stdout).toContain("Hello from gocker!");
  });

  test("other tools read it in the store", async () => {
    expect((await run("gocker/hello")).exitCode).toBe(0);
    const name = `oci:${sandbox.root}/images:docker.io/gocker/hello:latest`;
    const inspected = Bun.spawnSync(["skopeo", "inspect", "--config", name]);
    expect(inspected.stderr.toString()).toBe("");
    expect(JSON.parse(inspected.stdout.toString())).toMatchObject({ os: "linux", config: { Cmd: ["/hello"] } });
  });

  test("another platform's is to be had, and one that does not exist is refused", async () => {
    const other = process.arch === "x64" ? "linux/arm64" : "linux/amd64";
    expect((await sandbox.gocker(["pull", "-q", "--platform", other, "gocker/hello"])).exitCode).toBe(0);
    const { stdout } = await sandbox.gocker(["images", "--format", "{{.Platform}}", "gocker/hello"]);
    expect(stdout).toBe(`${other}\n`);
    expect((await run("gocker/hello")).stdout).toContain("Hello from gocker!");

    const { stderr, exitCode } = await run("--platform", "linux/s390x", "gocker/hello");
    expect(exitCode).toBe(125);
    expect(stderr).toContain("the image does not exist for linux/s390x: it exists for linux/amd64, linux/arm64\n");
  });
});

test("no registry is asked for it, and for its name elsewhere the registry is", async () => {
  await using sandbox = await createSandbox();
  const asked: string[] = [];
  await using server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: ({ url }) => {
      asked.push(new URL(url).pathname);
      return new Response("{}", { status: 404 });
    },
  });
  const registry = `127.0.0.1:${server.port}`;
  const env = { GOCKER_REGISTRY_MIRROR: `http://${registry}` };
  for (const words of [
    ["run", "--rm", "gocker/hello"],
    ["run", "--rm", "--pull", "always", "docker.io/gocker/hello:latest"],
    ["pull", "gocker/hello"],
  ]) {
    expect(await sandbox.gocker(words, { env })).toMatchObject({ exitCode: 0 });
  }
  expect(asked).toEqual([]);
  const { exitCode } = await sandbox.gocker(["run", "--rm", `${registry}/gocker/hello`], { env });
  expect(exitCode).toBe(125);
  expect(asked).toContain("/v2/gocker/hello/manifests/latest");
});
