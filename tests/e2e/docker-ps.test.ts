import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { containerRecord, layout } from "../../src/cli/commands/ps/record.ts";
import { formatList } from "../../src/cli/output/list.ts";
import type { ContainerSummary } from "../../src/engine/ps.ts";
import { containerSummary } from "../helpers/container.ts";
import { docker, FakeDaemon } from "../helpers/docker-daemon.ts";

// The same containers for gocker's lists and for those of the real docker command line, which has them of a daemon that
// knows nothing else.

const now = Date.now();
const secondsAgo = (seconds: number) => new Date(Math.floor(now / 1000 - seconds) * 1000).toISOString();
const sizes = { written: 1234, whole: 5_820_000 };

const containers: ContainerSummary[] = [
  containerSummary({
    id: `aa${"0".repeat(62)}`,
    name: "web",
    command: ["nginx", "-g", "daemon off;"],
    created: secondsAgo(7200),
    labels: { tier: "front", "com.example.owned-by_whom": "me" },
    mounts: [
      { type: "volume", name: "v".repeat(64), destination: "/v", readOnly: false },
      { type: "bind", source: "/very/long/source/path", destination: "/b", readOnly: true },
    ],
    networks: ["host"],
    status: "running",
    state: { status: "running", startedAt: secondsAgo(300) },
  }),
  containerSummary({
    id: `bb${"0".repeat(62)}`,
    name: "database_with_a_long_name",
    image: `quay.io/x/postgres:16@sha256:${"c".repeat(64)}`,
    command: ["sh"],
    created: secondsAgo(3 * 86_400),
    networks: ["none"],
    status: "exited",
    state: { status: "exited", exitCode: 137, finishedAt: secondsAgo(3600) },
  }),
  containerSummary({
    id: `cc${"0".repeat(62)}`,
    name: "c",
    image: `sha256:${"5".repeat(64)}`,
    imageId: `sha256:${"5".repeat(64)}`,
    command: ["a".repeat(19), "b"],
    created: secondsAgo(90),
    networks: ["host"],
  }),
];

/** A container as GET /containers/json tells of it. */
function summaryOfApi({
  id,
  name,
  image,
  imageId,
  command,
  created,
  labels,
  mounts,
  networks,
  status,
}: ContainerSummary) {
  const [path = "", ...args] = command;
  return {
    Id: id,
    Names: [`/${name}`],
    Image: image,
    ImageID: imageId,
    Command: [path, ...args.map((word) => (word.includes(" ") ? `'${word}'` : word))].join(" "),
    Created: Date.parse(created) / 1000,
    Ports: [],
    Labels: labels,
    State: status,
    Status: { running: "Up 5 minutes", exited: "Exited (137) About an hour ago" }[status as string] ?? "Created",
    HostConfig: { NetworkMode: networks[0] },
    NetworkSettings: { Networks: Object.fromEntries(networks.map((network) => [network, {}])) },
    Mounts: mounts.map((mount) => ({
      Type: mount.type,
      Name: mount.name ?? "",
      Source: mount.source ?? "",
      Destination: mount.destination,
      Driver: mount.type === "volume" ? "local" : "",
    })),
    SizeRw: sizes.written,
    SizeRootFs: sizes.whole,
  };
}

describe.skipIf(docker === null)("docker ps prints the same", () => {
  let daemon: FakeDaemon;
  beforeAll(() => {
    daemon = new FakeDaemon();
    daemon.answers.set("/containers/json", containers.map(summaryOfApi));
  });
  afterAll(() => daemon[Symbol.asyncDispose]());

  const ours = (whole: boolean, format?: string) =>
    formatList(
      containers.map((container) => containerRecord(container, { whole, now, sizes })),
      layout,
      format,
    );

  const fields =
    "ID Image Command CreatedAt RunningFor Ports State Status Size Names Labels Mounts LocalVolumes Networks".split(
      " ",
    );

  test.each([
    "table",
    ...fields.map((field) => `{{.${field}}}`),
    '{{.Label "tier"}}{{.Label "none"}}',
    '{{.Names | upper | printf "%-30s|"}} {{json .Names}}',
    '{{if eq .State "exited"}}down{{else}}{{.Names}}{{end}}',
    '{{range $i, $e := split .Labels ","}}{{$i}}{{$e}} {{end}}',
    "table {{.ID}}\\t{{.Names}}\\t{{.Size}}",
    'table {{.Names}}\\t{{.Label "com.example.owned-by_whom"}}\\t{{upper .State}}',
    "table {{truncate .Names 3}}\\t{{json .Image}}\\t{{.Mounts}}",
    "table {{.Names}}",
  ])("%s", async (format) => {
    for (const whole of [false, true]) {
      const answer = await daemon.docker("ps", "-a", ...(whole ? ["--no-trunc"] : []), "--format", format);
      expect(answer).toEqual({ stdout: ours(whole, format), stderr: "", exitCode: 0 });
    }
  });

  test("json", async () => {
    const { stdout } = await daemon.docker("ps", "-a", "--format", "json");
    const records = (text: string) =>
      text
        .trimEnd()
        .split("\n")
        .map((line) => ({ ...(JSON.parse(line) as object), Platform: null }));
    // What a list of Docker's says of platforms is null without containerd's images.
    expect(records(ours(false, "json"))).toEqual(records(stdout));
  });
});
