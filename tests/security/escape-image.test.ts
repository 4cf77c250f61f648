import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";

import { AttackGround, type AttackImage, Canary, canAttack, dockerArchive } from "../helpers/attack.ts";
import { makeTar, type TarMemberInput } from "../helpers/tar.ts";

// Images that are made to reach the host by their files, their links and their configuration.

let ground: AttackGround;
/** A directory of the host, which images try to reach. */
let outside: string;
let canary: Canary;
beforeAll(async () => {
  if (!canAttack) return;
  ground = await AttackGround.create();
  outside = join(ground.sandbox.directory, "outside");
  mkdirSync(outside);
  canary = new Canary(outside, "canary");
});
afterAll(() => ground?.[Symbol.asyncDispose]());

const link = (name: string, target: string): TarMemberInput => ({ name, type: "2", link: target });
const hardLink = (name: string, target: string): TarMemberInput => ({ name, type: "1", link: target });

function expectOutsideUntouched(): void {
  expect(readdirSync(outside)).toEqual(["canary"]);
  expect(canary.isUntouched).toBe(true);
}

/** Everything in the store, without what every run may leave there. */
function storeFiles(): string[] {
  const { stdout } = Bun.spawnSync(["find", ".", "-not", "-name", "*lock*"], { cwd: ground.sandbox.root });
  return stdout.toString().trimEnd().split("\n").toSorted();
}

/** The IDs of the containers that the store has. */
function containers(): string[] {
  return readdirSync(join(ground.sandbox.root, "containers")).filter((name) => /[0-9a-f]{64}/.test(name));
}

describe.skipIf(!canAttack)("the image's links in the places of mounts", () => {
  // CVE-2026-41579, CVE-2026-47766: /dev led out of the root. `..` above the root stays there.
  const waysOut = (): Record<string, string> => ({
    "an absolute link": outside,
    "a link with too many dots": `../../../../../../../../../..${outside}`,
    "a link into process 1's root": "/proc/1/root/tmp",
    "a link to itself": "dev",
  });

  for (const name of ["dev", "etc", "srv", "run", "data"]) {
    for (const way of ["an absolute link", "a link with too many dots"]) {
      test(`/${name} as ${way} stays in the container`, async () => {
        const target = waysOut()[way] as string;
        await ground.load("linked", { layers: [[{ name: `.wh.${name}` }], [link(name, target)]] });
        const flags = ["-v", "vol:/data/volume", "--tmpfs", "/run/tmpfs", "-w", "/srv/work"];
        const { stdout, exitCode } = await ground.run([
          ...flags,
          "linked",
          "sh",
          "-c",
          `ls -d ${outside}; cat /etc/hostname`,
        ]);
        expectOutsideUntouched();
        expect({ stdout, exitCode }).toEqual({
          stdout: expect.stringMatching(new RegExp(`^${outside}\n[0-9a-f]{12}\n$`)),
          exitCode: 0,
        });
      });
    }
  }

  test("that run in circles, or through magic links, are refused", async () => {
    const targets = ["dev", "/dev", "/proc/self/root/tmp", "/proc/1/cwd", "../dev/x"];
    for (const target of targets) {
      await ground.load("circle", { layers: [[link("dev", target)]] });
      const { stdout, exitCode } = await ground.run(["circle", "echo", "ran"]);
      expect({ target, stdout, exitCode }).toEqual({ target, stdout: "", exitCode: 125 });
    }
    expectOutsideUntouched();
  });

  // The files of /etc are made where links lead that lead to nothing: in the container only.
  for (const file of ["resolv.conf", "hosts", "hostname"]) {
    for (const [way, target] of Object.entries({
      "an absolute link to a host's file": () => canary.path,
      "a relative link to a host's file": () => `../../../../../../..${canary.path}`,
      "a dangling link beside a host's file": () => join(outside, "made"),
      "a link to a directory that is not there": () => join(outside, "new/deep/made"),
    })) {
      test(`/etc/${file} as ${way} changes nothing there`, async () => {
        await ground.load("etc-link", { layers: [[link(`etc/${file}`, target())]] });
        const script = `readlink /etc/${file}; cat /etc/${file} >/dev/null; echo changed > /etc/${file}; cat ${canary.path}`;
        const { stdout } = await ground.run(["etc-link", "sh", "-c", script]);
        expect(stdout.split("\n")[0]).toBe(target());
        expect(stdout).not.toContain(canary.secret);
        expectOutsideUntouched();
      });
    }
  }

  test("volumes at links come to lie in the container, and are filled from it", async () => {
    await ground.load("volume-link", {
      layers: [[link("data", outside), link("up", "../../../../../../../../etc")]],
      config: { Volumes: { "/data": {}, "/up/x": {}, "/../../../../anywhere": {}, "relative/one": {} } },
    });
    const { stdout, exitCode } = await ground.run([
      "volume-link",
      "sh",
      "-c",
      `grep -o '/_data [^ ]*' /proc/self/mountinfo | sort; cat ${canary.path}; touch /data/x /up/x/y`,
    ]);
    expect(exitCode).toBe(0);
    expect(stdout.trim().split("\n")).toEqual(
      ["/anywhere", "/etc/x", outside, "/relative/one"].map((place) => `/_data ${place}`).toSorted(),
    );
    expectOutsideUntouched();
  });

  test("a volume is not filled with the host's files by a link", async () => {
    await ground.load("volume-source", { layers: [[link("data", outside)]] });
    expect(await ground.shell("ls -A /data", ["-v", "filled:/data"], "volume-source")).toBe("");
  });
});

describe.skipIf(!canAttack)("the image's user database", () => {
  const traps: Record<string, () => TarMemberInput[]> = {
    "a FIFO": () => [{ name: "etc/passwd", type: "6", mode: 0o644 }],
    "an endless device": () => [{ name: "etc/passwd", type: "3", major: 1, minor: 5 }],
    "a link to the host's": () => [link("etc/passwd", "/proc/1/root/etc/passwd")],
    "a link out of the root": () => [link("etc/passwd", `../../../../../../..${canary.path}`)],
    "a directory": () => [{ name: ".wh.etc" }, { name: "etc/passwd/" }],
    "a link to itself": () => [link("etc/passwd", "passwd")],
    "a whole link /etc": () => [link("etc", outside)],
    "a file with NULs and long lines": () => [
      { name: "etc/passwd", content: `${"x".repeat(1 << 20)}\0:x:0:0\nhostuser` },
    ],
  };
  for (const [kind, members] of Object.entries(traps)) {
    test(`may be ${kind}: a number works, a name is unknown, and nothing waits`, async () => {
      await ground.load("users", { layers: [[{ name: "etc/.wh.passwd" }], members()] });
      expect(await ground.calls([["getuid"]], ["-u", "1234"], "users")).toEqual(["1234"]);
      const name = await ground.run(["-u", "hostuser", "users", "id"]);
      expect({ stdout: name.stdout, exitCode: name.exitCode }).toEqual({ stdout: "", exitCode: 125 });
      expect(name.stderr).toContain("unable to find user hostuser");
      expect(name.stderr).not.toContain(canary.secret);
    });
  }

  test("may be huge: it is refused, and not read", async () => {
    await ground.load("huge", { layers: [[{ name: "etc/passwd", content: Buffer.alloc(17 << 20, "x") }]] });
    const { exitCode, stderr } = await ground.run(["huge", "true"]);
    expect(exitCode).toBe(125);
    expect(stderr).toContain("/etc/passwd");
  });
});

describe.skipIf(!canAttack)("an image's configuration", () => {
  const refused: Record<string, [config: AttackImage["config"], reason: RegExp]> = {
    "a user of two lines": [{ User: "root\nnobody" }, /unable to find user root\nnobody/],
    "a user with a NUL": [{ User: "ro\0ot" }, /unable to find user/],
    "a user below zero": [{ User: "-1" }, /between 0 and/],
    "a user too large": [{ User: "4294967295" }, /between 0 and/],
    "a group too large": [{ User: "0:4294967296" }, /between 0 and/],
    "a variable with a NUL": [{ Env: ["A=b\0c"] }, /NUL/],
    "an argument with a NUL": [{ Entrypoint: ["/bin/echo", "a\0b"] }, /NUL/],
    "a working directory with a NUL": [{ WorkingDir: "/tmp\0/x" }, /NUL/],
    "a volume over everything": [{ Volumes: { "/": {} } }, /hide the whole root/],
    "a volume over everything, by dots": [{ Volumes: { "/tmp/..": {} } }, /hide the whole root/],
    "a volume with a NUL": [{ Volumes: { "/a\0b": {} } }, /NUL/],
  };
  for (const [what, [config = {}, reason]] of Object.entries(refused)) {
    test(`with ${what} is refused`, async () => {
      const loaded = await ground.tryLoad("weird", { config });
      const { stdout, stderr, exitCode } = loaded.exitCode === 0 ? await ground.run(["weird", "true"]) : loaded;
      const viaConfig = stderr === "" ? await ground.run(["weird"]) : { stdout, stderr, exitCode };
      expect({ stdout: viaConfig.stdout, exitCode: viaConfig.exitCode }).toEqual({ stdout: "", exitCode: 125 });
      expect(viaConfig.stderr).toMatch(reason);
    });
  }

  test("of a wrong type is refused when it is loaded", async () => {
    for (const config of [
      { Env: "A=b" },
      { Env: [1] },
      { User: 0 },
      { Volumes: ["/x"] },
      { Labels: { a: 1 } },
      { Cmd: [["x"]] },
    ]) {
      const { exitCode, stderr } = await ground.tryLoad("wrong-type", { config });
      expect(exitCode).toBe(125);
      expect(stderr).toContain("must be");
    }
  });

  test("may be as large as it likes: the kernel's limits are told", async () => {
    await ground.load("large", { config: { Entrypoint: ["/bin/echo", "x".repeat(1 << 20)] } });
    const one = await ground.run(["large"]);
    expect({ exitCode: one.exitCode, stderr: one.stderr }).toEqual({
      exitCode: 126,
      stderr: "gocker: cannot run /bin/echo: argument list too long\n",
    });
    await ground.load("many", {
      config: { Env: Array.from({ length: 50_000 }, (_, index) => `V${index}=${"x".repeat(80)}`) },
    });
    expect((await ground.run(["many", "/bin/true"])).exitCode).toBe(126);
  });

  test("cannot draw on the user's terminal", async () => {
    const escape = "\u001b]0;owned\u0007\u001b[2J\u009b31m\r\u202e";
    const config = {
      User: `x${escape}`,
      Labels: { [`l${escape}`]: escape },
      Entrypoint: [`/bin/${escape}`, escape],
      Env: [`E${escape}=1`],
      StopSignal: escape,
      WorkingDir: `/${escape}`,
    };
    await ground.load("drawing", { config });
    const outcomes = [
      await ground.run(["drawing"]),
      await ground.run(["-u", "0", "drawing"]),
      await ground.gocker(["--debug", "run", "--rm", "-u", "0", "--network", "none", "drawing"]),
      await ground.gocker(["run", "--explain", "--rm", "-u", "0", "--network", "none", "drawing"]),
      await ground.gocker(["run", "--name", "drawn", "-u", "0", "--network", "none", "drawing"]),
      await ground.gocker(["ps", "-a", "--no-trunc"]),
      await ground.gocker(["ps", "-a", "--format", "table {{.Command}}\t{{.Labels}}"]),
      await ground.gocker(["images"]),
      await ground.gocker(["rm", "drawn"]),
    ];
    for (const { stdout, stderr } of outcomes) expect(stdout + stderr).not.toMatch(/[\u001b\u0007\u009b\u202e\r]/);
  });

  test("gives no variable of gocker's or the caller's, whatever its names", async () => {
    await ground.load("variables", {
      config: { Env: ["GOCKER_ROOT=/x", "LD_PRELOAD=/evil.so", "BUN_OPTIONS=--preload=/evil", "=C", "BARE"] },
    });
    const { stdout, exitCode } = await ground.run(["variables", "env"], {
      env: { SECRET_OF_CALLER: "1", BARE: "leaks" },
    });
    expect(exitCode).toBe(0);
    expect(stdout).not.toContain("SECRET_OF_CALLER");
    expect(stdout).not.toContain("leaks");
    expect(stdout).not.toContain(ground.sandbox.directory);
  });
});

describe.skipIf(!canAttack)("a whole image that leaves its directory", () => {
  // CVE-2014-9357 and zip-slip: each of these was an escape in some tool.
  const archives: Record<string, () => TarMemberInput[]> = {
    "a name that climbs": () => [{ name: `../../../../../../../..${outside}/made`, content: "x" }],
    "a name that climbs later": () => [{ name: `a/../../../../../../../../..${outside}/made`, content: "x" }],
    "a link as the root": () => [link("./", outside)],
    "a file as the root": () => [{ name: ".", type: "0", content: "x" }],
    "a hard link to a climbing name": () => [hardLink("stolen", `../../../../../../../..${canary.path}`)],
    "a hard link to nothing": () => [hardLink("stolen", canary.path)],
    "a hard link through a link": () => [link("way", outside), hardLink("stolen", "way/canary")],
    "a whiteout of the parent": () => [{ name: ".wh..." }],
    "a whiteout of itself": () => [{ name: ".wh.." }],
    "a whiteout below a climbing name": () => [{ name: `../../../../../../..${outside}/.wh.canary` }],
  };
  for (const [way, members] of Object.entries(archives)) {
    test(`by ${way} is refused, and leaves nothing`, async () => {
      const before = storeFiles();
      const { exitCode, stderr } = await ground.tryLoad("climbing", { layers: [members()] });
      expect(exitCode).toBe(125);
      expect(stderr).toMatch(/layer/);
      expectOutsideUntouched();
      expect(storeFiles()).toEqual(before);
    });
  }

  const contained: Record<string, () => TarMemberInput[]> = {
    "files through an absolute link": () => [link("way", outside), { name: "way/made", content: "x" }],
    "files through a climbing link": () => [
      link("way", `../../../../../../..${outside}`),
      { name: "way/made", content: "x" },
    ],
    "files through a chain of links": () => [
      link("a", "b"),
      link("b", "c/.."),
      { name: "c", type: "2", link: outside },
      { name: "a/made", content: "x" },
    ],
    "a link that a directory becomes": () => [
      { name: "way/" },
      link("way", outside),
      { name: "way/made", content: "x" },
    ],
    "a whiteout through a link": () => [link("way", outside), { name: "way/.wh.canary" }],
    "an opaque marker through a link": () => [link("way", outside), { name: "way/.wh..wh..opq" }],
    "a mode through a link": () => [link("way", canary.path), { name: "way", type: "0", mode: 0o777, content: "" }],
    "an absolute name": () => [{ name: join(outside, "made"), content: "x" }],
  };
  for (const [way, members] of Object.entries(contained)) {
    test(`by ${way} stays in it`, async () => {
      await ground.load("contained", { layers: [members()] });
      expect((await ground.run(["contained", "true"])).exitCode).toBe(0);
      expectOutsideUntouched();
    });
  }

  test("by links of a lower layer stays in it", async () => {
    const layers = [
      [link("way", outside), link("up", "../../../../../../../../../..")],
      [
        { name: "way/made", content: "x" },
        { name: `up${outside}/made`, content: "x" },
      ],
    ];
    await ground.load("two-layers", { layers });
    expect((await ground.run(["two-layers", "true"])).exitCode).toBe(0);
    expectOutsideUntouched();
  });

  test("by overlayfs's own attributes gains nothing: they are not taken over", async () => {
    const attributes = {
      "SCHILY.xattr.trusted.overlay.redirect": "/etc",
      "SCHILY.xattr.trusted.overlay.metacopy": "",
      "SCHILY.xattr.trusted.overlay.opaque": "y",
      "SCHILY.xattr.trusted.overlay.origin": "x",
      "SCHILY.xattr.user.overlay.redirect": "/etc",
      "SCHILY.xattr.user.overlay.whiteout": "y",
    };
    await ground.load("attributes", {
      layers: [
        [{ name: "secret/" }, { name: "secret/file", content: "lower" }],
        [
          { name: "redirected/", pax: attributes },
          { name: "secret/", pax: attributes },
          { name: "file", pax: attributes, content: "own" },
        ],
      ],
    });
    expect(await ground.shell("ls -A /redirected; cat /file /secret/file", [], "attributes")).toBe("ownlower");
  });

  test("by a device 0:0 that is no whiteout of the format gains nothing", async () => {
    await ground.load("raw-whiteout", { layers: [[{ name: "etc/passwd", type: "3", major: 0, minor: 0 }]] });
    // As in every tool that unpacks for overlayfs: the file is hidden, and the user database is empty.
    expect(await ground.shell("ls /etc/passwd 2>&1 || true; id -u", ["-u", "5"], "raw-whiteout")).toBe(
      "ls: /etc/passwd: No such file or directory\n5\n",
    );
  });
});

describe.skipIf(!canAttack)("an archive of images", () => {
  const config = Buffer.from(
    JSON.stringify({ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [] } }),
  );
  const manifestOf = (item: object) => Buffer.from(JSON.stringify([item]));

  test("names only files of its own", async () => {
    const archives: TarMemberInput[][] = [
      [{ name: "manifest.json", content: manifestOf({ Config: canary.path, Layers: [] }) }],
      [{ name: "manifest.json", content: manifestOf({ Config: `../../../../../..${canary.path}`, Layers: [] }) }],
      [{ name: "manifest.json", type: "2", link: canary.path }],
      [
        link("config.json", canary.path),
        { name: "manifest.json", content: manifestOf({ Config: "config.json", Layers: [] }) },
      ],
      [
        hardLink("config.json", canary.path),
        { name: "manifest.json", content: manifestOf({ Config: "config.json", Layers: [] }) },
      ],
      [
        { name: "config.json", content: config },
        link("layer.tar", canary.path),
        { name: "manifest.json", content: manifestOf({ Config: "config.json", Layers: ["layer.tar"] }) },
      ],
    ];
    for (const members of archives) {
      const { exitCode, stderr } = await ground.loadArchive(makeTar(members));
      expect(exitCode).toBe(125);
      expect(stderr).not.toContain(canary.secret);
    }
    expectOutsideUntouched();
  });

  test("cannot give its image a name that is a path or an option", async () => {
    for (const name of ["../../x", "/abs", "-rm", "a b", "a\nb", "UPPER", "sha256:x@y", `${"a/".repeat(200)}b`]) {
      const { exitCode } = await ground.loadArchive(dockerArchive(name, [], {}));
      expect([name, exitCode]).toEqual([name, 125]);
    }
  });

  test("cannot use digests as paths", async () => {
    const manifest = (descriptor: object) => ({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.index.v1+json",
      manifests: [{ mediaType: "application/vnd.oci.image.manifest.v1+json", size: 2, ...descriptor }],
    });
    for (const digest of [
      "sha256:../../../../etc/passwd",
      `sha256:${"0".repeat(63)}/`,
      "sha512:../x",
      "../x",
      "",
      `sha256:${"A".repeat(64)}`,
    ]) {
      const archive = makeTar([
        { name: "oci-layout", content: '{"imageLayoutVersion":"1.0.0"}' },
        { name: "index.json", content: Buffer.from(JSON.stringify(manifest({ digest }))) },
      ]);
      const { exitCode, stderr } = await ground.loadArchive(archive);
      expect([digest, exitCode]).toEqual([digest, 125]);
      expect(stderr).toContain("digest");
    }
  });
});

describe.skipIf(!canAttack)("what a container leaves", () => {
  test("is removed without following anything", async () => {
    const { exitCode } = await ground.gocker([
      "run",
      "--name",
      "left",
      "--network",
      "none",
      "attack",
      "sh",
      "-c",
      `ln -s ${outside} /way; ln -s ${canary.path} /file; mkdir -p /deep/a/b; ln -s ../../../../../../../..${outside} /deep/a/b/c;` +
        " mknod /deep/disk b 254 0; mkfifo /deep/fifo; chmod 000 /deep/a; rm -r /root; ln -s /etc /root",
    ]);
    expect(exitCode).toBe(0);
    expect(await ground.gocker(["rm", "left"])).toEqual({ stdout: "left\n", stderr: "", exitCode: 0 });
    expectOutsideUntouched();
    expect(containers()).toEqual([]);
  });

  test("in a volume is neither followed nor changed by the next container", async () => {
    const plant = `ln -s ${canary.path} /v/resolv.conf; ln -s ${canary.path} /v/hostname; ln -s ${outside} /v/dir; ln -s ${canary.path} /v/passwd`;
    expect((await ground.run(["-v", "planted:/v", "attack", "sh", "-c", plant])).exitCode).toBe(0);
    await ground.load("etc-volume", { config: { Volumes: { "/etc": {} } } });
    const next = await ground.run([
      "-v",
      "planted:/etc",
      "-v",
      "other:/etc/dir/sub",
      "-w",
      "/etc/dir/work",
      "-u",
      "0",
      "etc-volume",
      "sh",
      "-c",
      `echo changed > /etc/hosts; cat /etc/resolv.conf /etc/passwd; ls ${outside}`,
    ]);
    expect(next.stdout).not.toContain(canary.secret);
    expectOutsideUntouched();
    const data = join(ground.sandbox.root, "volumes/planted/_data");
    expect(lstatSync(join(data, "resolv.conf")).isSymbolicLink()).toBe(true);
  });
});

describe.skipIf(!canAttack)("links in gocker's own places", () => {
  test("a --cidfile that is a link is not followed", async () => {
    const target = join(ground.sandbox.directory, "cid-target");
    const path = join(ground.sandbox.directory, "cid");
    symlinkSync(target, path);
    const { exitCode } = await ground.run(["--cidfile", path, "attack", "true"]);
    expect(exitCode).toBe(125);
    expect(existsSync(target)).toBe(false);
    symlinkSync(canary.path, `${path}2`);
    expect((await ground.run(["--cidfile", `${path}2`, "attack", "true"])).exitCode).toBe(125);
    expectOutsideUntouched();
    expect(readFileSync(canary.path, "utf8")).toContain(canary.secret);
    // What failed leaves no container.
    await ground.run(["attack", "true"]);
    expect(containers()).toEqual([]);
  });

  test("names of volumes and containers are no paths", async () => {
    for (const name of ["../x", "..", ".", "a/../../b", "/abs/../..", "a\nb", "-x", "a".repeat(300)]) {
      const asVolume = await ground.run(["--mount", `type=volume,src=${name},dst=/data`, "attack", "true"]);
      expect([name, asVolume.exitCode]).toEqual([name, 125]);
      const asName = await ground.run([`--name=${name}`, "attack", "true"]);
      expect([name, asName.exitCode]).toEqual([name, 125]);
    }
    expect(readdirSync(ground.sandbox.directory).filter((name) => name === "x" || name === "b")).toEqual([]);
  });
});
