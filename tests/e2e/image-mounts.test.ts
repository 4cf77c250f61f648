import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { patience } from "../helpers/patience.ts";
import { createRunner, type Outcome, type Runner, success } from "../helpers/runner.ts";
import { makeTar } from "../helpers/tar.ts";

if (!canRunCorpus) console.warn("mounts of images are not tested: that needs root and the corpus");

const layer = (...members: Parameters<typeof makeTar>[0]) => Bun.gzipSync(new Uint8Array(makeTar(members)));

describe.skipIf(!canRunCorpus)("--mount type=image", () => {
  let runner: Runner;
  let plain: string;
  let data: string;
  beforeAll(async () => {
    runner = await createRunner([], {
      "plain:1": { layers: [alpineLayer] },
      "data:1": {
        layers: [
          layer(
            { name: "./", mode: 0o755 },
            { name: "kept", content: "kept\n" },
            { name: "gone", content: "gone\n" },
            { name: "deep/er/file", content: "deep\n", mode: 0o640, uid: 7 },
            { name: "link", type: "2", link: "/deep/er" },
            { name: "out", type: "2", link: "../../../../etc" },
          ),
          layer({ name: ".wh.gone" }, { name: "deep/new", content: "new\n" }),
        ],
      },
    });
    plain = runner.image("plain:1");
    data = runner.image("data:1");
  }, patience(30_000));
  afterAll(() => runner?.[Symbol.asyncDispose]());

  const mount = (target: string, subpath?: string) => [
    "--mount",
    `type=image,source=${data},target=${target}${subpath === undefined ? "" : `,image-subpath=${subpath}`}`,
  ];
  const run = (flags: readonly string[], script: string): Promise<Outcome> =>
    runner.run(["--network", "none", ...flags, plain, "sh", "-c", script]);

  test("shows the files of all layers, which nobody can write to", async () => {
    const script =
      "cd /mnt; find . -type f | sort | xargs stat -c '%n %a %u'; cat kept deep/new; touch x 2>&1; rm kept 2>&1";
    expect(await run(mount("/mnt"), script)).toEqual({
      stdout: [
        "./deep/er/file 640 7",
        "./deep/new 644 0",
        "./kept 644 0",
        "kept",
        "new",
        "touch: x: Read-only file system",
        "rm: can't remove 'kept': Read-only file system",
        "",
      ].join("\n"),
      stderr: "",
      exitCode: 1,
    });
  });

  test("shows a part of them, by the links of the image, which lead to nothing of the host's", async () => {
    expect(await run(mount("/mnt", "deep"), "find /mnt | sort")).toEqual(
      success("/mnt\n/mnt/er\n/mnt/er/file\n/mnt/new\n"),
    );
    expect(await run(mount("/mnt", "link"), "ls /mnt")).toEqual(success("file\n"));
    expect(await run(mount("/the/file", "link/file"), "cat /the/file")).toEqual(success("deep\n"));
    for (const subpath of ["gone", "deep/none", "out"]) {
      const { stderr, exitCode } = await run(mount("/mnt", subpath), "ls /mnt");
      expect({ stderr, exitCode }).toEqual({
        stderr: `gocker: the image ${data} has no ${subpath} that could be mounted\n`,
        exitCode: 125,
      });
    }
    expect(runner.leftovers()).toEqual([]);
  });

  test("is refused by its form", async () => {
    for (const [fields, message] of [
      [`type=image,target=/mnt`, "a mount of an image needs its name as the source"],
      [`type=image,source=${data},target=/mnt,readonly=false`, "an image cannot be written to"],
      [`type=image,source=${data},target=/mnt,volume-nocopy`, "volume-nocopy is for mounts of type volume"],
      [`type=bind,source=/,target=/mnt,image-subpath=x`, "image-subpath is for mounts of type image"],
    ] as const) {
      const { stderr, exitCode } = await run(["--mount", fields], "true");
      expect(exitCode).toBe(125);
      expect(stderr).toContain(message);
    }
    const { stderr } = await run(["--mount", `type=image,source=${data},target=/mnt,image-subpath=../x`], "true");
    expect(stderr).toStartWith('gocker: invalid path within an image "../x": it must be relative, without ..\n');
  });

  test("stays for later starts, is told of, and keeps its image from being removed", async () => {
    const words = ["--name", "holder", "--network", "none", ...mount("/mnt", "deep"), plain, "cat", "/mnt/new"];
    expect(await runner.gocker(["run", ...words])).toEqual(success("new\n"));
    const removal = await runner.gocker(["rmi", data]);
    expect(removal.exitCode).toBe(125);
    expect(removal.stderr).toStartWith(`gocker: the image ${data} is used by the container holder\n`);
    expect(await runner.gocker(["rmi", "-f", data])).toMatchObject({ exitCode: 0 });
    expect(await runner.gocker(["image", "prune", "-af"])).toMatchObject({ exitCode: 0 });
    expect(await runner.gocker(["start", "-a", "holder"])).toEqual(success("new\n"));
    expect(await runner.gocker(["cp", "holder:/mnt/new", "-"])).toMatchObject({ exitCode: 0 });
    const template =
      "{{range .Mounts}}{{.Type}} {{.Source}} {{.Destination}} {{.RW}}{{end}} {{json .HostConfig.Mounts}}";
    const asked = [{ Type: "image", Source: data, Target: "/mnt", ImageOptions: { Subpath: "deep" } }];
    expect(await runner.gocker(["inspect", "-f", template, "holder"])).toEqual(
      success(`image ${data} /mnt false ${JSON.stringify(asked)}\n`),
    );
    await runner.gocker(["rm", "holder"]);
    // It is pulled as the container's own image is.
    expect(await run(["--pull", "never", ...mount("/mnt")], "true")).toMatchObject({ exitCode: 125 });
    const { stdout, exitCode } = await run(mount("/mnt"), "cat /mnt/kept");
    expect({ stdout, exitCode }).toEqual({ stdout: "kept\n", exitCode: 0 });
  });
});
