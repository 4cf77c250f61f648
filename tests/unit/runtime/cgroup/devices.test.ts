import { describe, expect, test } from "bun:test";
import { defaultDeviceRules } from "../../../../src/container/linux-defaults.ts";
import { deviceAccess, normaliseDeviceRules } from "../../../../src/runtime/cgroup/devices/rules.ts";
import { type DeviceWrite, deviceWrites } from "../../../../src/runtime/cgroup/devices/v1.ts";
import { allowsEverything, deviceProgram } from "../../../../src/runtime/cgroup/devices/v2.ts";
import { CgroupError } from "../../../../src/runtime/cgroup/errors.ts";
import type { DeviceCgroupRule } from "../../../../src/oci/runtime-spec.ts";
import { InvalidDocumentError } from "../../../../src/util/errors.ts";
import { runEbpf } from "../../../helpers/ebpf.ts";

interface Question {
  type: "c" | "b";
  major: number;
  minor: number;
  access: number;
}

/** The rules' meaning, by the book: for each access the last rule that fits decides, and without one the answer is no. */
function isAllowed(rules: readonly DeviceCgroupRule[], { type, major, minor, access }: Question): boolean {
  const letters = { m: deviceAccess.mknod, r: deviceAccess.read, w: deviceAccess.write };
  return Object.entries(letters).every(([letter, bit]) => {
    if ((access & bit) === 0) return true;
    const last = rules.findLast(
      (rule) =>
        (rule.type === undefined || rule.type === "a" || rule.type === type) &&
        (rule.major === undefined || rule.major === -1 || rule.major === major) &&
        (rule.minor === undefined || rule.minor === -1 || rule.minor === minor) &&
        (rule.access ?? "rwm").includes(letter),
    );
    return last?.allow ?? false;
  });
}

/** What the program of version 2 answers. */
function programAllows(program: Uint8Array, { type, major, minor, access }: Question): boolean {
  return (
    runEbpf(program, new Uint8Array(Uint32Array.of((access << 16) | (type === "b" ? 1 : 2), major, minor).buffer)) === 1
  );
}

/** What the kernel's lists of version 1 answer after these writes. security/device_cgroup.c */
function listsAllow(writes: readonly DeviceWrite[], { type, major, minor, access }: Question): boolean {
  let allowByDefault = true;
  const exceptions: { type: string; major: string; minor: string; access: number }[] = [];
  for (const { file, value } of writes) {
    if (value === "a") {
      allowByDefault = file === "devices.allow";
      exceptions.length = 0;
      continue;
    }
    const [, kind = "", first = "", second = "", letters = ""] =
      /^([bc]) (\*|\d+):(\*|\d+) ([rwm]+)$/.exec(value) ?? [];
    if ((file === "devices.allow") === allowByDefault)
      throw new Error(`"${value}" in ${file} has no effect that is meant`);
    const bits = (letters.includes("m") ? 1 : 0) | (letters.includes("r") ? 2 : 0) | (letters.includes("w") ? 4 : 0);
    exceptions.push({ type: kind, major: first, minor: second, access: bits });
  }
  const fitting = exceptions.filter(
    (exception) =>
      exception.type === type &&
      (exception.major === "*" || exception.major === String(major)) &&
      (exception.minor === "*" || exception.minor === String(minor)),
  );
  if (allowByDefault) return !fitting.some((exception) => (exception.access & access) !== 0);
  return fitting.some((exception) => (access & ~exception.access) === 0);
}

/** Every question about the devices that the rules below are about, and about others. */
function* questions(): Generator<Question> {
  for (const type of ["c", "b"] as const)
    for (const major of [0, 1, 2, 136])
      for (const minor of [0, 3, 4]) for (let access = 1; access <= 7; access++) yield { type, major, minor, access };
}

function expectMeaning(rules: readonly DeviceCgroupRule[]): void {
  const normal = normaliseDeviceRules(rules);
  const program = deviceProgram(normal);
  let writes: DeviceWrite[] | undefined;
  try {
    writes = deviceWrites(normal);
  } catch (error) {
    if (!(error instanceof CgroupError)) throw error;
  }
  for (const question of questions()) {
    const allowed = isAllowed(rules, question);
    const where = JSON.stringify({ rules, question, writes });
    if (programAllows(program, question) !== allowed) throw new Error(`version 2 does not answer ${allowed}: ${where}`);
    // Mknod comes alone from mknod(2), and reading and writing from open(2): the kernel asks nothing else.
    if (writes === undefined || ((question.access & 1) === 1 && question.access !== 1)) continue;
    if (listsAllow(writes, question) !== allowed) throw new Error(`version 1 does not answer ${allowed}: ${where}`);
  }
}

describe("the last rule that fits decides", () => {
  test.each<[string, DeviceCgroupRule[]]>([
    ["no rules", []],
    ["everything denied", [{ allow: false, access: "rwm" }]],
    ["everything allowed", [{ allow: true, type: "a" }]],
    ["Docker's", defaultDeviceRules()],
    [
      "a device denied after all were allowed",
      [{ allow: true }, { allow: false, type: "c", major: 1, minor: 3, access: "w" }],
    ],
    [
      "allowed twice, bit by bit",
      [
        { allow: true, type: "c", major: 1, minor: 3, access: "r" },
        { allow: true, type: "c", major: 1, minor: 3, access: "w" },
      ],
    ],
    [
      "narrow after wide",
      [
        { allow: true, type: "c", access: "r" },
        { allow: true, type: "c", major: 1, minor: 3, access: "w" },
      ],
    ],
    [
      "wide after narrow",
      [
        { allow: true, type: "c", major: 1, minor: 3, access: "w" },
        { allow: true, type: "c", access: "r" },
      ],
    ],
    [
      "crossing",
      [
        { allow: true, type: "c", major: 1, access: "r" },
        { allow: true, type: "c", minor: 3, access: "w" },
      ],
    ],
    [
      "taken back",
      [
        { allow: true, type: "b", major: 1, minor: 3 },
        { allow: false, type: "b", access: "w" },
      ],
    ],
    ["both types, one major", [{ allow: true, type: "a", major: 1 }]],
    ["-1 as a wildcard", [{ allow: true, type: "c", major: 136, minor: -1, access: "rw" }]],
    ["allowed after denied after allowed", [{ allow: true }, { allow: false }, { allow: true, type: "c", major: 2 }]],
  ])("%s", (_, rules) => {
    expectMeaning(rules);
  });

  test("2,000 random lists", () => {
    let state = 20230817;
    const random = (limit: number): number => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return (state >>> 8) % limit;
    };
    const pick = <Value>(...values: Value[]): Value => values[random(values.length)] as Value;
    for (let round = 0; round < 2000; round++) {
      const rules = Array.from({ length: random(7) }, (): DeviceCgroupRule => {
        const major = pick(undefined, -1, 1, 1, 2, 136);
        const minor = pick(undefined, -1, 3, 3, 4);
        return {
          allow: random(3) !== 0,
          type: pick("a", "b", "c", "c", "c"),
          ...(major === undefined ? {} : { major }),
          ...(minor === undefined ? {} : { minor }),
          access: pick("r", "w", "m", "rw", "rm", "wm", "rwm", "rwm"),
        };
      });
      expectMeaning(rules);
    }
  });
});

describe("version 1", () => {
  test("denies everything, then allows one by one", () => {
    const rules: DeviceCgroupRule[] = [
      { allow: false },
      { allow: true, type: "c", access: "m" },
      { allow: true, type: "c", major: 1, minor: 3, access: "rw" },
    ];
    expect(deviceWrites(normaliseDeviceRules(rules))).toEqual([
      { file: "devices.deny", value: "a" },
      { file: "devices.allow", value: "c *:* m" },
      { file: "devices.allow", value: "c 1:3 rw" },
    ]);
  });

  test("writes nothing where everything is allowed, so that a nested host's own limits do not matter", () => {
    expect(deviceWrites(normaliseDeviceRules([{ allow: true }]))).toEqual([]);
  });

  test("says which rule it cannot express", () => {
    const rules: DeviceCgroupRule[] = [
      { allow: true, type: "c", major: 1 },
      { allow: false, type: "c", major: 1, minor: 3, access: "w" },
    ];
    expect(() => deviceWrites(normaliseDeviceRules(rules))).toThrow(
      'cgroups of version 1 cannot deny "c 1:3 w" after the opposite of "c 1:* rwm"',
    );
  });
});

test("an access may hold an a beside the others, as runc lets it", () => {
  const read = (access: string) => normaliseDeviceRules([{ allow: false, type: "c", major: 1, minor: 11, access }]);
  expect(read("rwa")).toEqual(read("rw"));
  expect(() => read("a")).toThrow("linux.resources.devices[0].access is");
});

test("version 2 needs no program where everything is allowed", () => {
  expect(allowsEverything(normaliseDeviceRules([{ allow: true }]))).toBeTrue();
  expect(allowsEverything(normaliseDeviceRules([{ allow: true }, { allow: true, type: "c", major: 1 }]))).toBeTrue();
  expect(allowsEverything(normaliseDeviceRules([]))).toBeFalse();
  expect(allowsEverything(normaliseDeviceRules([{ allow: true }, { allow: false, type: "c", major: 1 }]))).toBeFalse();
});

test.each<[string, Record<string, unknown>]>([
  ["type", { type: "x" }],
  ["access", { access: "rx" }],
  ["access", { access: "" }],
  ["major", { major: -2 }],
  ["minor", { minor: 1.5 }],
])("a rule with a wrong %s is refused: %j", (name, fields) => {
  const rule = { allow: true, ...fields } as DeviceCgroupRule;
  expect(() => normaliseDeviceRules([{ allow: true }, rule])).toThrow(InvalidDocumentError);
  expect(() => normaliseDeviceRules([{ allow: true }, rule])).toThrow(`linux.resources.devices[1].${name}`);
});
