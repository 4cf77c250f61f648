import { expect, test } from "bun:test";
import type { ContainerState, RestartPolicy } from "../../../src/container/record.ts";
import { isWanted } from "../../../src/engine/restartable.ts";
import { newContainer } from "../../helpers/container.ts";

const exited: ContainerState = { status: "exited", exitCode: 0 };
const failed: ContainerState = { status: "exited", exitCode: 137 };

test.each<[expected: boolean, policy: RestartPolicy["name"] | undefined, wasStopped: boolean, ContainerState]>([
  [false, undefined, false, failed],
  [true, "always", false, exited],
  [true, "always", true, exited],
  [true, "unless-stopped", false, exited],
  [false, "unless-stopped", true, exited],
  [true, "on-failure", false, failed],
  [false, "on-failure", true, failed],
  [false, "on-failure", false, exited],
  [false, "always", false, { status: "created" }],
  [false, "always", false, { status: "running", pid: 1 }],
])("after a boot: %p for %p, stopped by its user: %p, %p", (expected, name, wasStopped, state) => {
  const identity = { version: 1 as const, id: "1".repeat(64), name: "web", created: "2026-01-01T00:00:00Z" };
  const record = { ...newContainer(), ...identity, state, ...(name !== undefined && { restart: { name } }) };
  expect(isWanted(record, wasStopped)).toBe(expected);
});
