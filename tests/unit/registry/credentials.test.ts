import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { credentialFiles } from "../../../src/registry/credential-files.ts";
import { askHelper, CredentialHelperError } from "../../../src/registry/credential-helper.ts";
import { findCredentials } from "../../../src/registry/credentials.ts";
import { readSmallFile } from "../../../src/registry/files.ts";

let directory = "";
let bin = "";
let count = 0;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "gocker-credentials-"));
  bin = join(directory, "bin");
  await mkdir(bin);
});
afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function helper(name: string, script: string, mode = 0o755): Promise<string> {
  const path = join(bin, `docker-credential-${name}`);
  await Bun.write(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, mode);
  return path;
}

async function find(registry: string, content: unknown, repository = "library/a", helpers = true) {
  const path = join(directory, `${count++}.json`);
  await Bun.write(path, typeof content === "string" ? content : JSON.stringify(content));
  return await findCredentials(registry, repository, { files: [{ path, helpers }], helperDirectories: [bin] });
}

const auth = (text: string) => ({ auth: btoa(text) });
const password = (username: string, secret: string) => ({ kind: "password", username, password: secret }) as const;

describe("auths", () => {
  test.each([
    ["docker.io", "https://index.docker.io/v1/"],
    ["docker.io", "index.docker.io"],
    ["docker.io", "docker.io"],
    ["docker.io", "https://registry-1.docker.io/v2/"],
    ["ghcr.io", "ghcr.io"],
    ["ghcr.io", "https://ghcr.io"],
    ["ghcr.io", "https://GHCR.io/v1/"],
    ["reg:5000", "http://reg:5000/v2"],
    ["docker.io", "docker.io/library"],
    ["docker.io", "docker.io/library/a"],
  ])("%s by %s", async (registry, key) => {
    expect(await find(registry, { auths: { [key]: auth("u:p:q") } })).toEqual(password("u", "p:q"));
  });

  test.each([
    ["reg", "reg:5000"],
    ["reg:5000", "reg"],
    ["ghcr.io", "docker.io"],
    ["a.ghcr.io", "ghcr.io"],
    ["ghcr.io", "ghcr.io/library/ab"],
    ["ghcr.io", "ghcr.io/lib"],
  ])("%s not by %s", async (registry, key) => {
    expect(await find(registry, { auths: { [key]: auth("u:p") } })).toBeUndefined();
  });

  test("the most exact key counts", async () => {
    const auths = { "q.io": auth("a:1"), "q.io/x": auth("b:2"), "q.io/x/y": auth("c:3") };
    expect(await find("q.io", { auths }, "x/y")).toEqual(password("c", "3"));
    expect(await find("q.io", { auths }, "x/z")).toEqual(password("b", "2"));
    expect(await find("q.io", { auths }, "z")).toEqual(password("a", "1"));
  });

  test("every kind of entry", async () => {
    const of = async (entry: object) => await find("q.io", { auths: { "q.io": entry } });
    expect(await of({ username: "u", password: "p" })).toEqual(password("u", "p"));
    expect(await of({ identitytoken: "t", ...auth("u:p") })).toEqual({ kind: "identity-token", token: "t" });
    expect(await of({ registrytoken: "t" })).toEqual({ kind: "bearer", token: "t" });
    expect(await of(auth("<token>:t"))).toEqual({ kind: "identity-token", token: "t" });
    expect(await of(auth("u:p\0\0"))).toEqual(password("u", "p"));
    expect(await of({})).toBeUndefined();
    expect(await of({ auth: "" })).toBeUndefined();
  });

  test("what is broken is told without the secret", async () => {
    await expect(find("q.io", { auths: { "q.io": { auth: "%%%hunter2" } } })).rejects.toThrow(
      /^(?!.*hunter2).*not base64/,
    );
    await expect(find("q.io", { auths: { "q.io": auth("nocolon") } })).rejects.toThrow("not base64 of USER:PASSWORD");
    await expect(find("q.io", '{"auths": hunter2')).rejects.toThrow(/^(?!.*hunter2).*is not JSON/);
  });

  test("an empty file or one of another shape has none", async () => {
    for (const content of ["", " \n", "[]", "null", { auths: [] }, { auths: { "q.io": "x" } }]) {
      expect(await find("q.io", content)).toBeUndefined();
    }
  });
});

describe("credential helpers", () => {
  const echo = (json: string) => `read server; printf '%s' '${json}'`;

  test("credHelpers, then credsStore, then auths", async () => {
    await helper("one", echo('{"Username":"one","Secret":"1"}'));
    await helper("two", echo('{"Username":"two","Secret":"2"}'));
    await helper("none", "echo 'credentials not found in native keychain'; exit 1");
    const auths = { "q.io": auth("file:3") };
    const credHelpers = { "q.io": "one" };
    expect(await find("q.io", { auths, credsStore: "two", credHelpers })).toEqual(password("one", "1"));
    expect(await find("q.io", { auths, credsStore: "two" })).toEqual(password("two", "2"));
    expect(await find("q.io", { auths, credsStore: "none" })).toEqual(password("file", "3"));
    expect(await find("q.io", { auths: {}, credsStore: "none" })).toBeUndefined();
    expect(await find("q.io", { auths, credsStore: "two" }, "a", false)).toEqual(password("file", "3"));
  });

  test("are asked for the server by its key", async () => {
    await helper("name", `read server; printf '{"Username":"%s %s","Secret":"x"}' "$1" "$server"`);
    expect(await find("docker.io", { credsStore: "name" })).toEqual(password("get https://index.docker.io/v1/", "x"));
    expect(await find("q.io:5000", { credsStore: "name" })).toEqual(password("get q.io:5000", "x"));
  });

  test("<token> is an identity token", async () => {
    await helper("token", echo('{"ServerURL":"q.io","Username":"<token>","Secret":"t"}'));
    expect(await find("q.io", { credsStore: "token" })).toEqual({ kind: "identity-token", token: "t" });
  });

  test.each([
    ["fails", "echo secret; exit 3", "failed for q.io \\(status 3\\)"],
    ["nojson", "echo secret", "answered no JSON"],
    ["noname", `echo '{"Secret":"secret"}'`, "without Username"],
  ])("one that %s is an error without its output", async (name, script, reason) => {
    await helper(name, script);
    await expect(find("q.io", { credsStore: name })).rejects.toThrow(CredentialHelperError);
    await expect(find("q.io", { credsStore: name })).rejects.toThrow(new RegExp(`^(?!.*secret).*${reason}`));
  });

  test("run only from trusted directories, owned and not writable by others", async () => {
    await helper("open", echo("{}"), 0o777);
    await expect(askHelper("open", "q.io", [bin])).rejects.toThrow("others than root may change it");
    await expect(askHelper("missing", "q.io", [bin])).rejects.toThrow(`docker-credential-missing is not in ${bin}`);
    for (const name of ["../bin/docker-credential-one", "", "-x", "a/b"]) {
      await expect(askHelper(name, "q.io", [bin])).rejects.toThrow("is not the name of a credential helper");
    }
  });

  test("see no variables that change how programs are loaded", async () => {
    await helper(
      "env",
      `printf '{"Username":"u","Secret":"%s %s %s"}' "\${LD_LIBRARY_PATH:-none}" "$PATH" "$AWS_PROFILE"`,
    );
    process.env["LD_LIBRARY_PATH"] = "/evil";
    process.env["AWS_PROFILE"] = "work";
    try {
      expect(await askHelper("env", "q.io", [bin])).toEqual(password("u", `none ${bin} work`));
    } finally {
      delete process.env["LD_LIBRARY_PATH"];
      delete process.env["AWS_PROFILE"];
    }
  });
});

describe("credentialFiles", () => {
  const paths = async (environment: Record<string, string>) =>
    (await credentialFiles(environment, join(directory, "passwd"))).map(
      ({ path, helpers }) => `${path}${helpers ? "" : " -"}`,
    );

  test("Docker's, then podman's", async () => {
    expect(await paths({ HOME: "/h", XDG_RUNTIME_DIR: "/r" })).toEqual([
      "/h/.docker/config.json",
      "/r/containers/auth.json",
      "/h/.config/containers/auth.json",
    ]);
    expect(await paths({ HOME: "/h", DOCKER_CONFIG: "/d", REGISTRY_AUTH_FILE: "/a" })).toEqual([
      "/d/config.json",
      "/a",
    ]);
    const runtime = `/run/containers/${process.geteuid?.()}/auth.json`;
    expect(await paths({ XDG_CONFIG_HOME: "/c" })).toEqual([runtime, "/c/containers/auth.json"]);
  });

  test.skipIf(process.geteuid?.() !== 0)("under sudo also its caller's, without helpers", async () => {
    await Bun.write(join(directory, "passwd"), "root:x:0:0::/root:/bin/sh\nu:x:1234:1234::/home/u:/bin/sh\n");
    expect((await paths({ HOME: "/root", SUDO_UID: "1234", REGISTRY_AUTH_FILE: "" })).slice(3)).toEqual([
      "/home/u/.docker/config.json -",
      "/run/user/1234/containers/auth.json -",
      "/home/u/.config/containers/auth.json -",
    ]);
    expect((await paths({ HOME: "/root", SUDO_UID: "9" })).slice(3)).toEqual(["/run/user/9/containers/auth.json -"]);
    for (const uid of ["0", "x", "-1", ""]) expect(await paths({ HOME: "/root", SUDO_UID: uid })).toHaveLength(3);
  });

  test.skipIf(process.geteuid?.() !== 0)("a file of somebody else is not read", async () => {
    const path = join(directory, "other.json");
    await Bun.write(path, JSON.stringify({ auths: { "q.io": auth("u:p") } }));
    expect(await readSmallFile(path, 1234)).toBeString();
    await Bun.$`chown 4321 ${path}`;
    expect(await readSmallFile(path, 1234)).toBeUndefined();
    expect(await readSmallFile(path)).toBeString();
  });
});

test("what is no regular file is not waited for", async () => {
  const path = join(directory, "fifo");
  await Bun.$`mkfifo ${path}`;
  expect(await readSmallFile(path)).toBeUndefined();
  expect(await readSmallFile("/dev/zero")).toBeUndefined();
  expect(await readSmallFile(directory)).toBeUndefined();
  expect(await readSmallFile(join(directory, "missing"))).toBeUndefined();
});
