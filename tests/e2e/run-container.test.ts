import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";

import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { createRunner, outcomeOf, type Runner, success } from "../helpers/runner.ts";

const layers = [alpineLayer];

describe.skipIf(!canRunCorpus)("the container itself", () => {
  let runner: Runner;
  let image: string;
  beforeAll(async () => {
    runner = await createRunner([], { "plain:1": { layers, config: { Labels: { from: "image", both: "image" } } } });
    image = runner.image("plain:1");
  });
  afterAll(() => runner?.[Symbol.asyncDispose]());

  /** `ps -a` as objects. */
  const list = async () => {
    const { stdout, stderr, exitCode } = await runner.gocker(["ps", "-a", "--no-trunc", "--format", "json"]);
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    return stdout
      .trim()
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Record<string, string>);
  };

  test("without --rm it stays until it is removed, and tells how it ended", async () => {
    const outcome = await runner.gocker(["run", "--name", "stays", image, "sh", "-c", "echo x >/x; exit 3"]);
    expect(outcome).toEqual({ stdout: "", stderr: "", exitCode: 3 });
    const [container, ...others] = await list();
    expect(others).toEqual([]);
    expect(container).toMatchObject({ Names: "stays", Image: image, State: "exited" });
    expect(container?.["Status"]).toStartWith("Exited (3)");
    const id = container?.["ID"] ?? "";
    expect(readFileSync(`${runner.sandbox.root}/containers/${id}/upper/x`, "utf8")).toBe("x\n");
    expect(await runner.gocker(["rm", "stays"])).toEqual(success("stays\n"));
    expect(await list()).toEqual([]);
    expect(runner.leftovers()).toEqual([]);
  });

  test("a command that is not there leaves a container that says so; with --rm nothing", async () => {
    await runner.gocker(["run", "--name", "failed", image, "no-such"]);
    expect((await list())[0]).toMatchObject({ Status: "Created", State: "created" });
    const parts = "{{.State.Status}} {{.State.ExitCode}} {{.State.Error}} {{.State.FinishedAt}}";
    const { stdout } = await runner.gocker(["inspect", "-f", parts, "failed"]);
    expect(stdout).toMatch(/^created 127 .*no-such.* 0001-01-01T00:00:00Z\n$/);
    await runner.gocker(["rm", "failed"]);
    await runner.run([image, "no-such"]);
    expect(runner.leftovers()).toEqual([]);
  });

  test("a name has one owner", async () => {
    const first = runner.start(["run", "--rm", "-i", "--name", "web", image, "cat"]);
    const { id } = await runner.untilRunning();
    const { stdout, stderr, exitCode } = await runner.run(["--name", "web", image, "true"]);
    expect(stderr).toStartWith(`gocker: the container name web is in use by ${id.slice(0, 12)}\n  hint: `);
    expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 125 });
    expect(await runner.gocker(["rm", "web"])).toMatchObject({ stdout: "", exitCode: 125 });
    expect(await outcomeOf(first)).toEqual(success(""));
    expect(await runner.run(["--name", "web", image, "true"])).toEqual(success(""));
  });

  test("rm -f ends one that runs", async () => {
    const child = runner.start(["run", "--name", "forced", image, "sleep", "1000"]);
    await runner.untilRunning();
    expect(await runner.gocker(["rm", "-f", "forced"])).toEqual(success("forced\n"));
    expect(await outcomeOf(child)).toMatchObject({ exitCode: 137 });
    expect(runner.leftovers()).toEqual([]);
  });

  test("on the host's network it has the host's name, unless it is given another", async () => {
    const script = "hostname; cat /etc/hostname; echo $HOSTNAME";
    const named = (name: string) => success(`${name}\n`.repeat(3));
    expect(await runner.run(["--network", "host", image, "sh", "-c", script])).toEqual(named(hostname()));
    expect(await runner.run(["--network", "host", "-h", "own", image, "sh", "-c", script])).toEqual(named("own"));
  });

  test("its host name is its ID, and the shell prompt's", async () => {
    const file = join(runner.sandbox.directory, "id");
    const { stdout } = await runner.run(["--network", "none", "--cidfile", file, image, "hostname"]);
    const id = readFileSync(file, "utf8");
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect(stdout).toBe(`${id.slice(0, 12)}\n`);
    expect(await runner.run(["--hostname", "my-box", image, "hostname"])).toEqual(success("my-box\n"));
  });

  test("--cidfile must be new, and is not written for nothing", async () => {
    const file = join(runner.sandbox.directory, "taken");
    await Bun.write(file, "old");
    const { stderr, exitCode } = await runner.run(["--cidfile", file, image, "true"]);
    expect(stderr).toStartWith(`gocker: the container ID file ${file} exists\n`);
    expect(exitCode).toBe(125);
    expect(readFileSync(file, "utf8")).toBe("old");
    const other = join(runner.sandbox.directory, "other");
    expect(await runner.run(["--cidfile", other, "-u", "nosuch", image, "true"])).toMatchObject({ exitCode: 125 });
    expect(existsSync(other)).toBe(false);
    const nowhere = join(runner.sandbox.directory, "no/such/directory/id");
    expect(await runner.run(["--cidfile", nowhere, image, "true"])).toMatchObject({ stdout: "", exitCode: 125 });
    expect(runner.leftovers()).toEqual([]);
  });

  test("--label comes on top of the image's", async () => {
    await runner.gocker([
      "run",
      "--name",
      "labelled",
      "--label",
      "a=b=c",
      "-l",
      "empty",
      "-l",
      "both=user",
      image,
      "true",
    ]);
    const labels = (await list())[0]?.["Labels"]?.split(",").toSorted();
    expect(labels).toEqual(["a=b=c", "both=user", "empty=", "from=image"]);
    await runner.gocker(["rm", "labelled"]);
  });

  describe("where the image comes from", () => {
    /** How often a manifest was asked for; to push one is another request. */
    const asked = (name: string) =>
      runner.registry.log().match(new RegExp(`"(GET|HEAD) /v2/${name}/manifests/`, "g"))?.length ?? 0;

    test("--pull missing, never, always", async () => {
      await runner.registry.pushImage("moving:1", { layers, config: { Env: ["V=1"] } });
      const reference = runner.image("moving:1");
      const value = (...flags: string[]) => runner.run(["-q", ...flags, reference, "sh", "-c", "echo $V"]);
      const absent = {
        stdout: "",
        stderr: `gocker: no such image here: ${reference}\n  hint: leave out --pull=never to pull it\n`,
      };
      expect(await value("--pull", "never")).toEqual({ ...absent, exitCode: 125 });
      expect(asked("moving")).toBe(0);
      expect(await value()).toEqual(success("1\n"));
      const once = asked("moving");
      await runner.registry.pushImage("moving:1", { layers, config: { Env: ["V=2"] } });
      expect(await value()).toEqual(success("1\n"));
      expect(await value("--pull=never")).toEqual(success("1\n"));
      expect(asked("moving")).toBe(once);
      expect(await value("--pull=always")).toEqual(success("2\n"));
      expect(await value()).toEqual(success("2\n"));
    });

    test("by ID and by digest", async () => {
      const { stdout } = await runner.gocker(["images", "--no-trunc", "--format", "json"]);
      const found = stdout
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as Record<string, string>);
      const { ID = "", Digest = "" } = found.find(({ Repository }) => Repository === runner.image("plain")) ?? {};
      expect(ID).toMatch(/^sha256:/);
      expect(await runner.run(["--pull=never", ID, "echo", "by ID"])).toEqual(success("by ID\n"));
      expect(await runner.run(["--pull=never", ID.slice(7, 19), "echo", "x"])).toEqual(success("x\n"));
      expect(await runner.run(["-q", `${runner.image("plain")}@${Digest}`, "echo", "y"])).toEqual(success("y\n"));
    });

    test("an image that is not there names the tags that are", async () => {
      const { stdout, stderr, exitCode } = await runner.run([runner.image("plain:2"), "true"]);
      expect(stderr).toStartWith("gocker: ");
      expect(stderr).toContain(runner.registry.address);
      expect(stderr).toMatch(/hint: .*\b1\b/);
      expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 125 });
    });

    test("without latest the last tag of the listing, and it says so", async () => {
      const { stdout, stderr, exitCode } = await runner.run(["-q", runner.image("plain"), "echo", "x"]);
      expect(stderr).toContain(`${runner.image("plain")} has no tag "latest": took "1"`);
      expect({ stdout, exitCode }).toEqual({ stdout: "x\n", exitCode: 0 });
      // It is found again, without a word.
      expect(await runner.run(["--pull=never", runner.image("plain"), "echo", "x"])).toEqual(success("x\n"));
    });

    test("--platform: the one that is asked for, or a list of those that exist", async () => {
      const manifests: object[] = [];
      for (const [architecture, name] of [
        ["amd64", "wide-amd64"],
        ["arm64", "wide-arm64"],
      ] as const) {
        // Every one can be run here: what is asked for is which one is taken.
        const made = await runner.registry.pushImage("wide", {
          layers,
          config: { Env: [`NAME=${name}`] },
          imageConfig: { architecture },
        });
        manifests.push({ ...made, platform: { os: "linux", architecture } });
      }
      const index = { schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests };
      await runner.registry.pushManifest("wide:1", index, index.mediaType);
      const name = (...flags: string[]) =>
        runner.run(["-q", ...flags, runner.image("wide:1"), "sh", "-c", "echo $NAME"]);
      expect(await name()).toEqual(success("wide-amd64\n"));
      expect(await name("--platform", "linux/arm64")).toEqual(success("wide-arm64\n"));
      expect(await name("--platform", "linux/amd64")).toEqual(success("wide-amd64\n"));
      const { stdout, stderr, exitCode } = await name("--platform", "linux/s390x");
      expect(stderr).toContain("linux/s390x");
      expect(stderr).toContain("linux/amd64");
      expect(stderr).toContain("linux/arm64");
      expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 125 });
    });

    test("the pull is told on stderr alone, with -q not at all", async () => {
      await runner.registry.pushImage("told:1", { layers: [...layers, ...layers.map(() => new Uint8Array(1024))] });
      const reference = runner.image("told:1");
      const { stdout, stderr, exitCode } = await runner.run([reference, "echo", "x"]);
      expect(stderr).toContain(`Pulled ${reference} (2 layers, `);
      expect({ stdout, exitCode }).toEqual({ stdout: "x\n", exitCode: 0 });
      await runner.gocker(["rmi", reference]);
      expect(await runner.run(["-q", reference, "echo", "x"])).toEqual(success("x\n"));
    });
  });

  test("--debug logs what is being done, on stderr and only there", async () => {
    const { stdout, stderr, exitCode } = await runner.gocker(["--debug", "run", "--rm", image, "echo", "hello"]);
    expect(stderr).toMatch(
      new RegExp(`^Running \\[echo hello\\] on image ${image}\nStarting container [0-9a-f]{64}$`, "m"),
    );
    expect({ stdout, exitCode }).toEqual({ stdout: "hello\n", exitCode: 0 });
  });

  test("--explain=only runs nothing and leaves nothing; --explain tells on stderr and runs", async () => {
    const only = await runner.run(["--explain=only", image, "echo", "x"]);
    expect(only.stdout).toContain("pivot_root");
    expect(only.stdout).toContain("Execute /bin/echo");
    expect(only).toMatchObject({ stderr: "", exitCode: 0 });
    const both = await runner.run(["--explain", image, "echo", "x"]);
    expect(both.stderr).toContain("pivot_root");
    expect(both).toMatchObject({ stdout: "x\n", exitCode: 0 });
    expect(runner.leftovers()).toEqual([]);
  });
});
