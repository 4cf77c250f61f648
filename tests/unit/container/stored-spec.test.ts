import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { cgroupPathOf, readStoredSpec, writeStoredSpec } from "../../../src/container/stored-spec.ts";
import type { RuntimeSpec } from "../../../src/oci/runtime-spec.ts";
import { NotFoundError } from "../../../src/util/errors.ts";
import { TemporaryDirectory } from "../../helpers/temporary.ts";

const id = "0123456789abcdef".repeat(4);

const spec: RuntimeSpec = {
  ociVersion: "1.1.0",
  process: {
    user: { uid: 0, gid: 0 },
    args: ["sh"],
    cwd: "/",
    rlimits: [{ type: "RLIMIT_CORE", soft: 0, hard: 2 ** 64 }],
  },
  linux: {
    cgroupsPath: `/batch/${id}`,
    resources: { memory: { limit: 2 ** 40 }, pids: { limit: 5 } },
    seccomp: {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [
        {
          names: ["personality"],
          action: "SCMP_ACT_ERRNO",
          args: [{ index: 0, value: 2n ** 64n - 1n, op: "SCMP_CMP_EQ" }],
        },
      ],
    },
  },
};

test("a specification is read as it was written, large numbers to the last digit", async () => {
  using directory = new TemporaryDirectory("stored-spec");
  writeStoredSpec(directory.path, spec);
  const text = await Bun.file(`${directory.path}/config.json`).text();
  expect(text).toContain('"value": 18446744073709551615');
  expect(text).toContain('"hard": 18446744073709551615');
  writeStoredSpec(directory.path, readStoredSpec(id, directory.path));
  expect(await Bun.file(`${directory.path}/config.json`).text()).toBe(text);
});

test("the cgroup of a container, also of one without a specification", () => {
  using directory = new TemporaryDirectory("stored-spec");
  const usual = `/gocker/${id}`;
  expect(() => readStoredSpec(id, directory.path)).toThrow(NotFoundError);
  expect(cgroupPathOf(id, directory.path)).toBe(usual);
  writeStoredSpec(directory.path, spec);
  expect(cgroupPathOf(id, directory.path)).toBe(`/batch/${id}`);
  writeFileSync(`${directory.path}/config.json`, "");
  expect(cgroupPathOf(id, directory.path)).toBe(usual);
});
