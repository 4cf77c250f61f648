import { afterAll, beforeAll, describe, expect, test } from "bun:test";

import { createSandbox } from "../helpers/binary.ts";
import { canRunCorpus, type CorpusImage, startCorpusRegistry } from "../helpers/corpus-images.ts";
import type { TestRegistry } from "../helpers/registry.ts";
import { freePort, outcomeOf, Runner, success, untilCatching } from "../helpers/runner.ts";
import { until } from "../helpers/until.ts";

/** Images as they are published, from Debian's registry, pulled by the command that runs them. */
const images: readonly CorpusImage[] = [
  "library/busybox:glibc",
  "library/busybox:musl",
  "library/busybox:uclibc",
  "library/busybox:arm64",
  "library/alpine:3.6",
  "library/alpine:3.19",
  "library/hello-world:2018",
  "library/hello-world:latest",
  "google/pause:2.0",
  "jib/busybox:1",
  "wagoodman/dive:14",
];

describe.skipIf(!canRunCorpus)("images of the field", () => {
  let registry: TestRegistry;
  let runner: Runner;
  beforeAll(async () => {
    registry = await startCorpusRegistry(images);
    runner = new Runner(await createSandbox(), registry);
  });
  afterAll(() => runner?.[Symbol.asyncDispose]());

  test.each(["glibc", "musl", "uclibc"])("busybox of %s: a shell, and its own command", async (libc) => {
    const image = runner.image(`library/busybox:${libc}`);
    const first = await runner.run([image, "sh", "-c", "echo $((6 * 7)); busybox | head -1; id -un"]);
    expect(first.stdout).toMatch(/^42\nBusyBox v1\.37\.0 .* multi-call binary\.\nroot\n$/);
    expect(first.stderr).toContain(`Pulled ${image} (1 layer, `);
    expect(first.exitCode).toBe(0);
    // The image's command is sh, which finds the end of its input at once.
    expect(await runner.run([image])).toEqual(success(""));
    const piped = await runner.run(["-i", image], { stdin: "echo by stdin; exit 3\n" });
    expect(piped).toEqual({ stdout: "by stdin\n", stderr: "", exitCode: 3 });
  });

  test.each([
    ["3.6", "3.6.5", "musl-1.1.16-r15"],
    ["3.19", "3.19.4", "musl-1.2.4_git20230717-r4"],
  ])("Alpine %s: its release and packages; removing one concerns no other container", async (tag, release, musl) => {
    const image = runner.image(`library/alpine:${tag}`);
    const shell = (script: string) => runner.run(["-q", "--network", "none", image, "sh", "-ec", script]);
    // apk complains about the lists of packages, which it has never fetched.
    const listed = "cat /etc/alpine-release; apk info -v 2>/dev/null | grep ^musl-[0-9]";
    expect(await shell(listed)).toEqual(success(`${release}\n${musl}\n`));
    const removal = "apk --no-network del alpine-keys >/dev/null 2>&1; apk info -e alpine-keys || echo gone";
    expect(await shell(removal)).toEqual(success("gone\n"));
    expect(await shell("apk info -e alpine-keys")).toEqual(success("alpine-keys\n"));
  });

  test.each(["2018", "latest"])("hello-world:%s greets", async (tag) => {
    const { stdout, stderr, exitCode } = await runner.run(["-q", runner.image(`library/hello-world:${tag}`)]);
    expect(stdout.trimStart().split("\n", 1)).toEqual(["Hello from Docker!"]);
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
  });

  test("an image without a shell says that there is none", async () => {
    expect(await runner.run(["-q", runner.image("library/hello-world:latest"), "sh"])).toEqual({
      stdout: "",
      stderr: "gocker: cannot run sh: executable file not found in the container's PATH\n",
      exitCode: 127,
    });
  });

  test("pause waits, and ends well at SIGTERM", async () => {
    await using child = runner.start(["run", "--rm", "-q", runner.image("google/pause:2.0")]);
    const { pid = 0 } = await runner.untilRunning();
    await untilCatching(pid, "SIGTERM");
    child.kill("SIGTERM");
    const { exitCode, ...output } = await outcomeOf(child);
    expect(output).toEqual({ stdout: "", stderr: "" });
    // 2: the runtime of Go, which catches signals before the program has asked for them.
    expect([0, 2]).toContain(exitCode);
  });

  test("an image that jib built: a layer of files without their directories", async () => {
    const script = "cat /hello; stat -c '%a %u' / /hello; ls -d /bin";
    const { stdout, stderr, exitCode } = await runner.run(["-q", runner.image("jib/busybox:1"), "sh", "-c", script]);
    expect({ stdout, stderr, exitCode }).toEqual(success("Hello World\n755 0\n644 0\n/bin\n"));
  });

  test("fourteen layers: what upper ones deleted is gone, what they changed is changed", async () => {
    const script = "cd /root; find . /tmp /somefile.txt | sort; stat -c %a saved.txt; touch example && ls -A example";
    expect(await runner.run(["-q", runner.image("wagoodman/dive:14"), "sh", "-c", script])).toEqual(
      success(
        [
          ".",
          "./.data",
          "./.data/saved.again2.txt",
          "./.data/tag.sh",
          "./.data/test.sh",
          "./.saved.txt",
          "./saved.txt",
          "/somefile.txt",
          "/tmp",
          "/tmp/saved.again1.txt",
          "755",
          "example",
          "",
        ].join("\n"),
      ),
    );
  });

  test("a server on the host's network: reached from outside, stopped by a signal", async () => {
    const image = runner.image("library/busybox:musl");
    const port = await freePort();
    const script = 'mkdir /www; echo from inside >/www/index.html; exec httpd -f -p "127.0.0.1:$PORT" -h /www';
    const words = [
      "run",
      "--rm",
      "-q",
      "--network",
      "host",
      "--init",
      "-e",
      `PORT=${port}`,
      image,
      "sh",
      "-ec",
      script,
    ];
    await using child = runner.start(words);
    let body = "";
    await until("the server answers", async () => {
      expect(child.exitCode).toBeNull();
      body = await fetch(`http://127.0.0.1:${port}/`).then(
        (answer) => answer.text(),
        () => "",
      );
      return body !== "";
    });
    expect(body).toBe("from inside\n");
    child.kill("SIGTERM");
    expect(await outcomeOf(child)).toEqual({ stdout: "", stderr: "", exitCode: 143 });
  });

  test("an image of another architecture says so when it is run", async () => {
    const { stdout, stderr, exitCode } = await runner.run(["-q", runner.image("library/busybox:arm64"), "true"]);
    expect(stderr).toStartWith("gocker: cannot run true: exec format error\n");
    expect({ stdout, exitCode }).toEqual({ stdout: "", exitCode: 126 });
  });

  test("nothing remains of all those containers", () => {
    expect(runner.leftovers()).toEqual([]);
  });
});
