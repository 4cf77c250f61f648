import { afterAll, describe, expect, test } from "bun:test";
import { containerFilter } from "../../../../src/cli/commands/ps/filters.ts";
import type { ContainerSummary } from "../../../../src/engine/ps.ts";
import { NotFoundError, UsageError } from "../../../../src/util/errors.ts";
import { containerSummary } from "../../../helpers/container.ts";
import { temporaryStore } from "../../../helpers/memory-images.ts";

const images = temporaryStore();
afterAll(() => images[Symbol.dispose]());

const probe = { start: "", end: "", exitCode: 0, output: "" };
const all: ContainerSummary[] = [
  containerSummary({
    id: `aa${"0".repeat(62)}`,
    name: "web",
    status: "running",
    state: { status: "running", health: { status: "healthy", failingStreak: 0, log: [probe] } },
    labels: { tier: "front", "with.dot": "" },
    networks: ["host"],
    exposedPorts: ["80/tcp", "8000-8010/udp"],
    publications: [
      { protocol: "tcp", hostAddress: "0.0.0.0", hostPort: 8080, containerAddress: "10.77.0.2", containerPort: 80 },
    ],
  }),
  containerSummary({
    id: `ab${"0".repeat(62)}`,
    name: "web-old",
    status: "exited",
    state: { status: "exited", exitCode: 3 },
    labels: { tier: "front" },
    networks: ["none"],
    mounts: [
      { type: "volume", name: "data", source: "/volumes/data/_data", destination: "/var/data", readOnly: false },
      { type: "bind", source: "/srv", destination: "/mnt", readOnly: false },
    ],
  }),
  containerSummary({
    id: `cc${"0".repeat(62)}`,
    name: "db",
    status: "paused",
    state: { status: "running" },
    image: "postgres:16",
    imageId: `sha256:${"5".repeat(64)}`,
  }),
  containerSummary({
    id: `cd${"0".repeat(62)}`,
    name: "again",
    status: "restarting",
    state: { status: "restarting", exitCode: 3 },
  }),
];

const named = (...texts: string[]) => {
  const filter = containerFilter(texts, all, { images: images.store });
  return all.filter(filter).map(({ name }) => name);
};

const cases: [filters: string[], names: string[]][] = [
  [[], ["web", "web-old", "db", "again"]],
  [["id=a"], ["web", "web-old"]],
  [[`id=${"cc".padEnd(64, "0")}`], ["db"]],
  [["name=web"], ["web", "web-old"]],
  [["name=^web$"], ["web"]],
  [["name=^/web$"], ["web"]],
  [["name=^(db|again)$"], ["db", "again"]],
  [
    ["name=db", "name=again"],
    ["db", "again"],
  ],
  [["label=tier"], ["web", "web-old"]],
  [["label=tier=front", "label=with.dot"], ["web"]],
  [["label=tier=back"], []],
  [["exited=3"], ["web-old"]],
  [["exited=0"], []],
  [["status=running"], ["web"]],
  [
    ["status=paused", "status=restarting"],
    ["db", "again"],
  ],
  [["status=dead"], []],
  [["health=healthy"], ["web"]],
  [["health=none"], ["web-old", "db", "again"]],
  [["ancestor=postgres:16"], ["db"]],
  [["ancestor=555"], ["db"]],
  [["ancestor=sha256:555"], ["db"]],
  [["ancestor=redis"], []],
  [["before=web-old"], ["db", "again"]],
  [["since=db"], ["web", "web-old"]],
  [["since=/db"], ["web", "web-old"]],
  [["before=ab"], ["db", "again"]],
  [
    ["before=web", "since=again"],
    ["web-old", "db"],
  ],
  [["volume=data"], ["web-old"]],
  [["volume=/var/data"], ["web-old"]],
  [["volume=/srv"], ["web-old"]],
  [["volume=/mnt"], ["web-old"]],
  [["volume=/volumes/data/_data"], []],
  [["network=host"], ["web"]],
  [["publish=8080"], ["web"]],
  [["publish=8000-9000"], ["web"]],
  [["publish=80"], []],
  [["publish=8080/udp"], []],
  [["expose=80"], ["web"]],
  [["expose=80/udp"], []],
  [["expose=8005/udp"], ["web"]],
  [["expose=1-100"], ["web"]],
  [["name=web", "status=exited"], ["web-old"]],
];

test.each(cases)("%j", (filters, names) => {
  expect(named(...filters)).toEqual(names);
});

describe("refuses", () => {
  const mistakes: [filter: string, reason: string][] = [
    ["name=(", "it is not a regular expression"],
    ["exited=x", "it is not the number of an exit code"],
    ["status=up", "it is created, running, paused, restarting, removing, exited or dead"],
    ["health=ill", "it is starting, healthy, unhealthy or none"],
    ["publish=web", "it is not of the form PORT[-PORT][/PROTOCOL]"],
    ["expose=99999", "it is not of the form PORT[-PORT][/PROTOCOL]"],
    ["expose=90-80", "it is not of the form PORT[-PORT][/PROTOCOL]"],
    ["is-task=true", "gocker has none"],
    ["nmae=x", 'there is no filter "nmae"'],
    ["name", "it is not of the form KEY=VALUE"],
  ];
  test.each(mistakes)("%s", (filter, reason) => {
    expect(() => named(filter)).toThrow(UsageError);
    expect(() => named(filter)).toThrow(reason);
  });

  test("a container that is not there", () => {
    for (const filter of ["before=nope", "since=", "since=/"]) expect(() => named(filter)).toThrow(NotFoundError);
  });
});
