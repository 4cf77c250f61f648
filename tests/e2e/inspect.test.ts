import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, statSync } from "node:fs";

import { openCgroup } from "../../src/runtime/cgroup/open.ts";
import { has } from "../helpers/cgroups.ts";
import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { docker, FakeDaemon } from "../helpers/docker-daemon.ts";
import { hasPodman, PodmanRunner } from "../helpers/podman-runner.ts";
import { createRunner, outcomeOf, type Runner, success } from "../helpers/runner.ts";
import { until } from "../helpers/until.ts";

const config = {
  Entrypoint: ["/bin/echo", "hello"],
  Cmd: ["world"],
  Env: ["PATH=/bin:/usr/bin:/sbin", "FROM=image"],
  User: "nobody",
  WorkingDir: "/srv",
  Labels: { from: "image", both: "image" },
  ExposedPorts: { "80/tcp": {}, "53/udp": {} },
  Volumes: { "/data": {} },
  StopSignal: "SIGINT",
};

/** The part of a container's document that the tests look into. */
interface ContainerDocument {
  readonly Id: string;
  readonly State: Record<string, unknown>;
  readonly HostConfig: Record<string, unknown>;
  readonly Config: Record<string, unknown>;
  readonly Mounts: Record<string, unknown>[];
  readonly [field: string]: unknown;
}

describe.skipIf(!canRunCorpus)("gocker inspect", () => {
  let runner: Runner;
  let image: string;
  beforeAll(async () => {
    runner = await createRunner([], { "full:1": { layers: [alpineLayer], config } });
    image = runner.image("full:1");
    const flags = [
      ["--name", "web", "-e", "A=1", "-e", "FROM=user", "-l", "both=user", "-u", "5:6", "--cap-add", "net_admin"],
      ["-v", `${runner.sandbox.directory}:/host:ro`, "-v", "data:/named", "--tmpfs", "/t:size=1m", "--network", "none"],
      ["--ulimit", "nofile=10:20", "--read-only", "--security-opt", "no-new-privileges", "-h", "box"],
    ].flat();
    expect(await runner.gocker(["run", ...flags, image, "sh", "-c", "exit 3"])).toEqual({
      stdout: "",
      stderr: "",
      exitCode: 3,
    });
  });
  afterAll(() => runner?.[Symbol.asyncDispose]());

  const inspect = async (...words: readonly string[]): Promise<ContainerDocument> => {
    const { stdout, stderr, exitCode } = await runner.gocker(["inspect", ...words]);
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    const [document] = JSON.parse(stdout) as ContainerDocument[];
    return document as ContainerDocument;
  };

  test("tells of a container what its options and its image made of it", async () => {
    const document = await inspect("web");
    expect(document).toMatchObject({
      Name: "/web",
      Path: "sh",
      Args: ["-c", "exit 3"],
      State: { Status: "exited", Running: false, ExitCode: 3, Pid: 0 },
      HostConfig: {
        Binds: [`${runner.sandbox.directory}:/host:ro`, "data:/named"],
        NetworkMode: "none",
        CapAdd: ["CAP_NET_ADMIN"],
        ReadonlyRootfs: true,
        SecurityOpt: ["no-new-privileges"],
        Tmpfs: { "/t": "size=1m" },
        Ulimits: [{ Name: "nofile", Soft: 10, Hard: 20 }],
      },
      Config: {
        Hostname: "box",
        User: "5:6",
        Env: ["PATH=/bin:/usr/bin:/sbin", "FROM=user", "A=1"],
        Cmd: ["sh", "-c", "exit 3"],
        Entrypoint: null,
        Image: image,
        WorkingDir: "/srv",
        Labels: { from: "image", both: "user" },
        ExposedPorts: { "80/tcp": {}, "53/udp": {} },
        Volumes: { "/data": {} },
        StopSignal: "SIGINT",
      },
    });
    for (const field of ["ResolvConfPath", "HostnamePath", "HostsPath"]) {
      expect(existsSync(document[field] as string)).toBe(true);
    }
    for (const { Source, Type } of document.Mounts) {
      if (Type !== "tmpfs") expect(statSync(Source as string).isDirectory()).toBe(true);
    }
  });

  test("the name may be an ID or its beginning, and several are one list", async () => {
    const { Id } = await inspect("web");
    for (const reference of [Id, Id.slice(0, 12), "/web"]) expect((await inspect(reference)).Id).toBe(Id);
    const { stdout } = await runner.gocker(["inspect", "web", image, "data"]);
    const documents = JSON.parse(stdout) as Record<string, unknown>[];
    expect(documents.map(({ Id: id, Name: name }) => id ?? name)).toEqual([
      Id,
      expect.stringMatching(/^sha256:/) as never,
      "data",
    ]);
  });

  test("by templates", async () => {
    const format = async (template: string, ...words: readonly string[]) =>
      await runner.gocker(["inspect", "-f", template, ...words]);
    expect(await format("{{.State.Status}} {{.State.ExitCode}}", "web")).toEqual(success("exited 3\n"));
    expect(await format('{{index .Config.Labels "both"}}{{.Config.Labels.none}}', "web")).toEqual(
      success("user<no value>\n"),
    );
    expect(await format("{{range $i, $m := .Mounts}}{{if $i}},{{end}}{{$m.Destination}}{{end}}", "web")).toEqual(
      success("/host,/t,/named,/data\n"),
    );
    expect(await format("{{json .Config.Cmd}}", "web", image)).toEqual(success('["sh","-c","exit 3"]\n["world"]\n'));
    expect((await format("json", "web")).stdout.split("\n").length).toBe(2);
    expect(await format("{{.Size}}", "--type", "image", image)).toEqual(
      success(`${Number((await inspect("--type", "image", image))["Size"])}\n`),
    );
    expect(await format("{{.State.Nothing}}", "web")).toEqual({
      stdout: "",
      stderr: expect.stringMatching(
        /^gocker: template parsing error: template: :1:8: executing "" at <\.State\.Nothing>: map has no entry for key "Nothing"\n {2}hint: there are Status, /,
      ) as never,
      exitCode: 125,
    });
    const broken = await format("{{.State", "web");
    expect(broken.stderr).toStartWith("gocker: template parsing error: template: :1: unclosed action\n");
    expect(broken.exitCode).toBe(125);
  });

  test("what does not exist is told after what does, and is a failure", async () => {
    expect(await runner.gocker(["inspect", "nope"])).toEqual({
      stdout: "[]\n",
      stderr: "Error: no such object: nope\n",
      exitCode: 1,
    });
    expect(await runner.gocker(["inspect", "-f", "{{.Name}}", "nope", "web", "A Name"])).toEqual({
      stdout: "/web\n",
      stderr: "Error: no such object: nope\nError: no such object: A Name\n",
      exitCode: 1,
    });
    for (const type of ["container", "image", "volume"]) {
      const other = type === "container" ? "data" : "web";
      expect(await runner.gocker(["inspect", "--type", type, other])).toEqual({
        stdout: "[]\n",
        stderr: `Error: no such ${type}: ${other}\n`,
        exitCode: 1,
      });
    }
  });

  test("sizes when they are asked for", async () => {
    expect(
      await runner.gocker(["run", "--name", "writer", "-u", "0", image, "sh", "-c", "printf 12345 >/file"]),
    ).toEqual(success(""));
    const { SizeRw, SizeRootFs } = await inspect("-s", "writer");
    const { Size } = (await inspect("--type", "image", image)) as unknown as { Size: number };
    expect({ SizeRw, SizeRootFs }).toEqual({ SizeRw: 5, SizeRootFs: Size + 5 });
    expect(await inspect("writer")).not.toHaveProperty("SizeRw");
  });

  test("a container that runs, or is paused", async () => {
    await using child = runner.start(["run", "--rm", "--name", "runs", "-u", "0", image, "sleep", "1000"]);
    const { id, pid } = await untilRuns("runs");
    expect((await inspect("runs")).State).toMatchObject({ Status: "running", Running: true, Paused: false, Pid: pid });
    using cgroup = openCgroup(`/gocker/${id}`);
    cgroup.freeze();
    try {
      expect((await inspect("runs")).State).toMatchObject({ Status: "paused", Running: true, Paused: true, Pid: pid });
    } finally {
      cgroup.thaw();
    }
    child.kill("SIGKILL");
    await outcomeOf(child);
    expect((await runner.gocker(["inspect", "runs"])).exitCode).toBe(1);
  });

  test.skipIf(!["memory", "cpu", "pids"].every(has))("limits as they are now", async () => {
    const flags = ["--memory", "64m", "--cpus", "0.5", "--pids-limit", "20", "--shm-size", "32m", "-u", "0"];
    expect((await runner.gocker(["run", "-d", "--name", "limited", ...flags, image, "sleep", "1000"])).exitCode).toBe(
      0,
    );
    try {
      expect((await inspect("limited")).HostConfig).toMatchObject({
        Memory: 64 * 2 ** 20,
        NanoCpus: 5e8,
        CpuQuota: 0,
        PidsLimit: 20,
        ShmSize: 32 * 2 ** 20,
        RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
      });
      const update = ["update", "--memory", "96m", "--cpus", "1", "--restart", "on-failure:3", "limited"];
      expect(await runner.gocker(update)).toEqual(success("limited\n"));
      expect((await inspect("limited")).HostConfig).toMatchObject({
        Memory: 96 * 2 ** 20,
        NanoCpus: 1e9,
        PidsLimit: 20,
        RestartPolicy: { Name: "on-failure", MaximumRetryCount: 3 },
      });
    } finally {
      await runner.gocker(["rm", "-f", "limited"]);
    }
  });

  async function untilRuns(name: string) {
    let [id = "", pid = ""]: string[] = [];
    await until(`${name} runs`, async () => {
      const { stdout } = await runner.gocker(["inspect", "-f", "{{.Id}} {{.State.Pid}}", name]);
      [id = "", pid = "0"] = stdout.trim().split(" ");
      return Number(pid) > 0;
    });
    return { id, pid: Number(pid) };
  }

  describe.skipIf(docker === null)("docker reads it", () => {
    test("every field is of the type that Docker's API has, and none is missing or unknown", async () => {
      await using daemon = new FakeDaemon();
      for (const words of [["web"], ["-s", "writer"]]) {
        const document = await inspect(...words);
        daemon.answers.set("/containers/c/json", document);
        const { stdout, stderr } = await daemon.docker("container", "inspect", "-f", "{{json .}}", "c");
        expect(stderr).toBe("");
        expect(JSON.parse(stdout)).toEqual(document);
      }
      const document = await inspect("--type", "image", image);
      daemon.answers.set("/images/i/json", document);
      const { stdout, stderr } = await daemon.docker("image", "inspect", "-f", "{{json .}}", "i");
      expect(stderr).toBe("");
      expect(JSON.parse(stdout)).toEqual(document);
      const volume = await inspect("--type", "volume", "data");
      daemon.answers.set("/volumes/data", volume);
      const answer = await daemon.docker("volume", "inspect", "-f", "{{json .}}", "data");
      expect(JSON.parse(answer.stdout)).toEqual(volume);
    });
  });

  test.skipIf(!hasPodman)("podman tells the same where its shape is the same", async () => {
    await using podman = await PodmanRunner.create();
    await podman.pull(image);
    const flags = [
      ["--name", "peer", "-e", "A=1", "-l", "both=user", "-u", "5:6", "--cap-add", "NET_ADMIN", "--read-only"],
      ["--network", "none", "--ulimit", "nproc=90:99", "--ulimit", "nofile=90:99", "-h", "box", "-w", "/tmp"],
    ].flat();
    const run = ["run", "--pull", "never", ...flags, image, "a b"];
    expect(await podman.withGocker(run)).toEqual(success("hello a b\n"));
    const own = ["run", "--entrypoint", "/bin/echo", ...flags, image, "a b"];
    expect((await runner.gocker(own)).stdout).toBe("a b\n");
    const [theirs] = JSON.parse((await podman.withGocker(["inspect", "peer"])).stdout) as ContainerDocument[];
    const ours = await inspect("peer");
    const pick = (document: ContainerDocument) => ({
      State: {
        Status: document.State["Status"],
        Running: document.State["Running"],
        ExitCode: document.State["ExitCode"],
      },
      HostConfig: Object.fromEntries(
        ["AutoRemove", "CapAdd", "ReadonlyRootfs", "Privileged", "NetworkMode", "RestartPolicy"].map((name) => [
          name,
          document.HostConfig[name],
        ]),
      ),
      Config: Object.fromEntries(
        ["Hostname", "User", "Cmd", "WorkingDir", "Labels", "Tty", "OpenStdin"].map((name) => [
          name,
          document.Config[name],
        ]),
      ),
    });
    const expected = pick(theirs as ContainerDocument);
    // podman 4.3 writes no policy as an empty name.
    expected.HostConfig["RestartPolicy"] = { Name: "no", MaximumRetryCount: 0 };
    expect(pick(ours)).toEqual(expected);
    const [theirImage] = JSON.parse(
      (await podman.withGocker(["image", "inspect", image])).stdout,
    ) as ContainerDocument[];
    const ourImage = await inspect("--type", "image", image);
    expect(ourImage["Id"]).toBe(`sha256:${theirImage?.Id}`);
    for (const field of ["Architecture", "Os", "RootFS", "RepoTags"])
      expect(ourImage[field]).toEqual(theirImage?.[field]);
    expect(ourImage.Config).toMatchObject(theirImage?.Config ?? {});
  });
});

describe("without an image", () => {
  test("port and inspect say what they are for", async () => {
    const { createSandbox } = await import("../helpers/binary.ts");
    await using sandbox = await createSandbox();
    expect(await sandbox.gocker(["port", "nope"])).toMatchObject({
      stdout: "",
      stderr: "Error: no such container: nope\n",
      exitCode: 1,
    });
    expect((await sandbox.gocker(["port", "nope", "x"])).stderr).toStartWith('gocker: invalid port "x"');
    expect((await sandbox.gocker(["inspect"])).stderr).toStartWith("gocker: inspect needs at least 1 argument");
    expect((await sandbox.gocker(["inspect", "--type", "pod", "x"])).stderr).toStartWith(
      'gocker: inspect: --type must be container, image, volume or network, not "pod"',
    );
  });
});
