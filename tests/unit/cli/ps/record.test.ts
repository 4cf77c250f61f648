import { describe, expect, test } from "bun:test";
import { containerRecord, layout, statusText } from "../../../../src/cli/commands/ps/record.ts";
import { formatList } from "../../../../src/cli/output/list.ts";
import type { ContainerSummary } from "../../../../src/engine/ps.ts";
import { containerSummary } from "../../../helpers/container.ts";

const now = Date.parse("2026-03-01T12:00:00Z");

const container = containerSummary({
  id: `4f5e${"0".repeat(60)}`,
  name: "web",
  image: "alpine:3.19",
  command: ["sh", "-c", "x y", "looooooooooooong"],
  created: "2026-03-01T10:00:00Z",
  labels: { a: "1", "com.x-y_z": "2" },
  mounts: [
    { type: "volume", name: "abcdefghijklmnopqrstuvwxyz", destination: "/v", readOnly: false },
    { type: "bind", source: "/very/long/source/path", destination: "/b", readOnly: true },
    { type: "tmpfs", destination: "/t", readOnly: false },
  ],
  networks: ["host"],
  status: "running",
  state: { status: "running", startedAt: "2026-03-01T11:55:00Z" },
});

// What docker 28.2 prints for the same container.
describe("a container", () => {
  test("in Docker's JSON", () => {
    const record = containerRecord(container, { whole: false, now, sizes: { written: 1234, whole: 5_820_000 } });
    expect(JSON.parse(formatList([record], layout, "json"))).toEqual({
      Command: `"sh -c 'x y' loooooo…"`,
      CreatedAt: "2026-03-01 10:00:00 +0000 UTC",
      ID: "4f5e00000000",
      Image: "alpine:3.19",
      Labels: "a=1,com.x-y_z=2",
      LocalVolumes: "1",
      Mounts: "abcdefghijklmn…,/very/long/sou…",
      Names: "web",
      Networks: "host",
      Ports: "",
      RunningFor: "2 hours ago",
      Size: "1.23kB (virtual 5.82MB)",
      State: "running",
      Status: "Up 5 minutes",
    });
  });

  test("with nothing cut short", () => {
    const record = containerRecord(container, { whole: true, now });
    expect(record).toMatchObject({
      ID: container.id,
      Command: `"sh -c 'x y' looooooooooooong"`,
      Mounts: "abcdefghijklmnopqrstuvwxyz,/very/long/source/path",
      Size: "0B",
    });
  });

  test("by a template with labels", () => {
    const format = 'table {{.ID}}\\t{{.Label "com.x-y_z"}}{{.Label "none"}}\\t{{upper .Names}}';
    expect(formatList([containerRecord(container, { whole: false, now })], layout, format)).toBe(
      "CONTAINER ID   x y znone   NAMES\n4f5e00000000   2           WEB\n",
    );
  });

  const images: [image: string, shown: string][] = [
    ["alpine", "alpine"],
    [`alpine:3.19@sha256:${"c".repeat(64)}`, "alpine:3.19"],
    [`quay.io/x/y@sha256:${"c".repeat(64)}`, "quay.io/x/y"],
    ["docker.io/library/alpine:3", "alpine:3"],
    [`sha256:${"0".repeat(64)}`, "000000000000"],
    ["0000", "000000000000"],
    ["beef", "beef"],
    ["Not A Name", "Not A Name"],
  ];
  test.each(images)("of image %s", (image, shown) => {
    expect(containerRecord({ ...container, image }, { whole: false, now }).Image).toBe(shown);
    expect(containerRecord({ ...container, image }, { whole: true, now }).Image).toBe(image);
  });
});

const startedAt = "2026-03-01T11:55:00Z";
const finishedAt = "2026-03-01T10:00:00Z";
const health = (status: "starting" | "healthy" | "unhealthy") => ({ status, failingStreak: 0, log: [] });
const states: [status: ContainerSummary["status"], state: Partial<ContainerSummary["state"]>, text: string][] = [
  ["created", {}, "Created"],
  ["running", { startedAt }, "Up 5 minutes"],
  ["running", { startedAt, health: health("starting") }, "Up 5 minutes (health: starting)"],
  ["running", { startedAt, health: health("healthy") }, "Up 5 minutes (healthy)"],
  ["running", { startedAt, health: health("unhealthy") }, "Up 5 minutes (unhealthy)"],
  ["paused", { startedAt, health: health("healthy") }, "Up 5 minutes (Paused)"],
  ["running", { startedAt: "2026-03-01T12:00:00Z" }, "Up Less than a second"],
  ["restarting", { exitCode: 1, finishedAt: "2026-03-01T11:59:55Z" }, "Restarting (1) 5 seconds ago"],
  ["exited", { exitCode: 0, finishedAt }, "Exited (0) 2 hours ago"],
  ["exited", { exitCode: 137, finishedAt }, "Exited (137) 2 hours ago"],
];
test.each(states)("%s %j", (status, state, text) => {
  expect(statusText({ ...container, status, state: { status: "running", ...state } }, now)).toBe(text);
});
