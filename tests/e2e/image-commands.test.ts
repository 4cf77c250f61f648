import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { createSandbox, type GockerOptions, type Sandbox } from "../helpers/binary.ts";
import { corpusPath, hasCorpus } from "../helpers/corpus.ts";
import { type Outcome, success } from "../helpers/runner.ts";
import { isRoot, TemporaryDirectory } from "../helpers/temporary.ts";
import { until } from "../helpers/until.ts";

/** Layers packed with gzip, with zstd and not at all; by Docker and as OCI's. */
const archives = ["docker-save-4layers-whiteout.tar", "busybox-1.37.0-musl-amd64.oci.tar", "oci-zstd-layer.tar"];
const hasSkopeo = Bun.which("skopeo") !== null;
if (!hasSkopeo) console.warn("that others read saved archives is not tested: that needs skopeo");

describe.skipIf(!isRoot || !hasCorpus)("images", () => {
  let sandbox: Sandbox;
  beforeEach(async () => {
    sandbox = await createSandbox();
  });
  afterEach(() => sandbox[Symbol.asyncDispose]());

  async function gocker(words: readonly string[], options?: GockerOptions): Promise<Outcome> {
    const { stdout, stderr, exitCode } = await sandbox.gocker(words, options);
    return { stdout, stderr, exitCode };
  }
  const load = async (archive: string) => {
    const { stdout } = await gocker(["load", "-qi", corpusPath(`images/${archive}`)]);
    return stdout.replace(/^Loaded image(?: ID)?: /, "").trim();
  };
  const names = async () => {
    const { stdout } = await gocker(["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    return stdout.trimEnd().split("\n").toSorted();
  };
  const failure = (message: string) => ({ stdout: "", stderr: expect.stringContaining(message), exitCode: 125 });

  test("tag gives a name, and takes it from the image that had it", async () => {
    const [one, two] = [await load(archives[0] as string), await load(archives[1] as string)];
    expect(await gocker(["tag", one, "example.com/base"])).toEqual(success(""));
    expect(await names()).toEqual(["busybox:1.37.0-musl", "example.com/base:latest", "she/image_from_scratch:1.0"]);
    expect(await gocker(["image", "tag", two, "example.com/base:latest"])).toEqual(success(""));
    const idOf = (name: string) => gocker(["inspect", "-f", "{{.Id}}", name]);
    expect(await idOf("example.com/base")).toEqual(await idOf(two));
    expect(await gocker(["tag", "none", "other"])).toEqual(failure("no such image: none"));
    expect(await gocker(["tag", two, `other@sha256:${"0".repeat(64)}`])).toEqual(failure("has a digest"));
    expect(await gocker(["tag", two, "Other"])).toEqual(failure("Other"));
  });

  test("history tells how an image was made, the last step first", async () => {
    const name = await load(archives[0] as string);
    const { stdout } = await gocker(["history", "--format", "{{.ID}} {{.Size}} {{.CreatedBy}}", name]);
    const [last = "", ...before] = stdout.trimEnd().split("\n");
    expect(last).toMatch(/^6d190579c3d7 0B \/bin\/sh -c #\(nop\) {2}LABEL/);
    expect(before).toContainEqual(expect.stringMatching(/^<missing> 2\.56kB .* ADD file:bc85f38b0c7988974…$/));
    expect(before).toHaveLength(7);
    expect(await gocker(["history", "-q", "--no-trunc", name])).toEqual(
      success(expect.stringMatching(/^sha256:6d190579c3d7[0-9a-f]{52}\n(?:<missing>\n){7}$/)),
    );
  });

  describe("save", () => {
    test.each(archives)("writes %s so that others read it", async (archive) => {
      const name = await load(archive);
      using directory = new TemporaryDirectory("save");
      const file = `${directory.path}/saved.tar`;
      expect(await gocker(["save", "-o", file, name])).toEqual(success(""));
      const { Id, RootFS } = JSON.parse((await gocker(["inspect", "-f", "{{json .}}", name])).stdout) as Image;
      await using other = await createSandbox();
      expect(await other.gocker(["load", "-qi", file])).toMatchObject({ exitCode: 0 });
      const again = JSON.parse((await other.gocker(["inspect", "-f", "{{json .}}", name])).stdout) as Image;
      expect([again.Id, again.RootFS]).toEqual([Id, RootFS]);
      if (!hasSkopeo) return;
      for (const kind of ["docker-archive", "oci-archive"]) {
        // Copying looks at every layer's digest; of an archive in Docker's form, at that of its plain content.
        const copy = Bun.spawn(
          ["skopeo", "--insecure-policy", "copy", `${kind}:${file}`, `dir:${directory.path}/${kind}`],
          {
            stdout: "ignore",
            stderr: "pipe",
          },
        );
        expect([await copy.stderr.text(), await copy.exited]).toEqual(["", 0]);
        expect(existsSync(`${directory.path}/${kind}/${Id.replace("sha256:", "")}`)).toBe(true);
      }
    });

    test("several images, and all tags of a repository, the same each time", async () => {
      const [one, two] = [await load(archives[0] as string), await load(archives[1] as string)];
      await gocker(["tag", two, "busybox:second"]);
      using directory = new TemporaryDirectory("save");
      const save = async (file: string) => {
        expect(await gocker(["save", "-o", `${directory.path}/${file}`, "busybox", one])).toEqual(success(""));
        return new Bun.CryptoHasher("sha256").update(await Bun.file(`${directory.path}/${file}`).bytes()).digest("hex");
      };
      expect(await save("first.tar")).toBe(await save("second.tar"));
      await gocker(["system", "prune", "-af"]);
      const { stdout } = await gocker(["load", "-qi", `${directory.path}/first.tar`]);
      expect(stdout.trimEnd().split("\n").toSorted()).toEqual([
        "Loaded image: busybox:1.37.0-musl",
        "Loaded image: busybox:second",
        "Loaded image: she/image_from_scratch:1.0",
      ]);
    });

    test("leaves the file as it was when it does not come to an end, and takes its place when it does", async () => {
      const name = await load(archives[0] as string);
      using directory = new TemporaryDirectory("save");
      const file = `${directory.path}/saved.tar`;
      writeFileSync(file, "before");
      const blobs = `${sandbox.root}/images/blobs/sha256`;
      const sizeOf = (blob: string) => statSync(`${blobs}/${blob}`).size;
      const layer = `${blobs}/${readdirSync(blobs).toSorted((one, other) => sizeOf(other) - sizeOf(one))[0]}`;
      renameSync(layer, `${layer}-away`);
      const failed = await gocker(["save", "-o", file, name]);
      renameSync(`${layer}-away`, layer);
      expect(failed).toEqual({ stdout: "", stderr: expect.stringContaining("gocker: "), exitCode: 125 });
      expect([readFileSync(file, "utf8"), readdirSync(directory.path)]).toEqual(["before", ["saved.tar"]]);
      expect(await gocker(["save", "-o", file, name])).toEqual(success(""));
      expect(readFileSync(file).length).toBeGreaterThan(10_000);
      expect(readdirSync(directory.path)).toEqual(["saved.tar"]);
      // What is no regular file is written to.
      const pipe = Bun.spawn(["sh", "-c", `mkfifo ${directory.path}/fifo; cat ${directory.path}/fifo | wc -c`], {
        stdout: "pipe",
      });
      await until("the FIFO is there", () => existsSync(`${directory.path}/fifo`));
      expect(await gocker(["save", "-o", `${directory.path}/fifo`, name])).toEqual(success(""));
      expect(Number(await pipe.stdout.text())).toBe(readFileSync(file).length);
    });

    test("touches no file when there is no such image", async () => {
      using directory = new TemporaryDirectory("save");
      const file = `${directory.path}/saved.tar`;
      expect(await gocker(["save", "-o", file, "none"])).toEqual(failure("no such image: none"));
      expect(existsSync(file)).toBe(false);
    });
  });

  test("image prune removes those without a name, and with -a all that no container has", async () => {
    const [one, two] = [await load(archives[0] as string), await load(archives[1] as string)];
    const id = await load(archives[2] as string);
    await gocker(["create", two]);
    const question = "WARNING! This will remove all dangling images.\nAre you sure you want to continue? [y/N] ";
    expect(await gocker(["image", "prune"], { stdin: "n\n" })).toEqual(success(question));
    const nothing = success("Total reclaimed space: 0B\n");
    expect(await gocker(["image", "prune", "-f", "--filter", "label=none"])).toEqual(nothing);
    expect(await gocker(["image", "prune", "-f", "--filter", "until=1999-01-01"])).toEqual(nothing);
    const deleted = success(expect.stringContaining(`Deleted Images:\ndeleted: ${id}\n\nTotal reclaimed space: `));
    expect(await gocker(["image", "prune", "-f"])).toEqual(deleted);
    const all = await gocker(["image", "prune", "-af"]);
    expect(all).toEqual(success(expect.stringContaining(`untagged: ${one}\ndeleted: sha256:6d190579c3d7`)));
    expect(await names()).toEqual([two]);
  });

  test("system df tells what is there, and system prune takes what is of no use", async () => {
    const [one, two] = [await load(archives[0] as string), await load(archives[1] as string)];
    await gocker(["tag", two, "other:name"]);
    await gocker(["create", "-v", "/data", two]);
    await gocker(["volume", "create", "kept"]);
    await gocker(["network", "create", "spare"]);
    const space = async () => {
      const { stdout } = await gocker([
        "system",
        "df",
        "--format",
        "{{.Type}}: {{.TotalCount}} {{.Active}} {{.Reclaimable}}",
      ]);
      return stdout.trimEnd().split("\n");
    };
    expect(await space()).toEqual(["Images: 2 1 15.4kB (0%)", "Containers: 1 0 0B", "Local Volumes: 2 1 0B"]);
    expect(await gocker(["system", "prune", "-f", "--volumes", "--filter", "until=1h"])).toEqual(failure("until"));
    const { stdout } = await gocker(["system", "prune", "--volumes"], { stdin: "y\n" });
    expect(stdout).toContain("  - all anonymous volumes not used by at least one container\n  - all dangling images\n");
    expect(stdout).toMatch(
      /Deleted Containers:\n[0-9a-f]{64}\n\nDeleted Networks:\nspare\n\nDeleted Volumes:\n[0-9a-f]{64}\n\nTotal/,
    );
    expect(await names()).toEqual([two, "other:name", one].toSorted());
    expect(await gocker(["system", "prune", "-af"])).toEqual(success(expect.stringContaining(`untagged: ${one}\n`)));
    expect(await space()).toEqual(["Images: 0 0 0B", "Containers: 0 0 0B", "Local Volumes: 1 0 0B"]);
  });
});

interface Image {
  readonly Id: string;
  readonly RootFS: unknown;
}
