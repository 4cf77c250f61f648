import { expect, test } from "bun:test";
import { bootUnit, containerUnit } from "../../../../src/cli/commands/generate/units.ts";
import type { ContainerRecord } from "../../../../src/container/record.ts";

const place = { program: "/usr/bin/gocker", root: "/var/lib/gocker", state: "/run/gocker" };
const record = (change: Partial<ContainerRecord>) => ({ name: "web", ...change }) as ContainerRecord;

test("after a boot what has a policy is started, before a shutdown it is stopped", () => {
  const unit = bootUnit(place);
  const call = "/usr/bin/gocker --root /var/lib/gocker --state /run/gocker";
  expect(unit).toContain(`ExecStart=${call} start --restartable\n`);
  expect(unit).toContain(`ExecStop=${call} stop --restartable\n`);
  expect(unit).toContain("[Install]\nWantedBy=multi-user.target\n");
});

test("a container's service runs in the foreground, and has the time that it needs to stop", () => {
  expect(containerUnit(place, record({}))).toContain(" start --attach web\n");
  expect(containerUnit(place, record({ stopTimeout: 60 }))).toContain("TimeoutStopSec=80\n");
  expect(containerUnit(place, record({ stopTimeout: -1 }))).toContain("TimeoutStopSec=infinity\n");
});

test("paths stay words, whatever is in them", () => {
  const unit = bootUnit({ ...place, root: '/srv/a b"c\\%$d' });
  expect(unit).toContain(String.raw`--root "/srv/a b\"c\\%%$$d"`);
});
