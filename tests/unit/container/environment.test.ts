import { describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { buildEnvironment, parseEnvironmentFile, resolveUserEnvironment } from "../../../src/container/environment.ts";
import { InvalidDocumentError, UsageError } from "../../../src/util/errors.ts";
import { TemporaryDirectory } from "../../helpers/temporary.ts";

const base = { hostname: "abc", terminal: false, image: [], user: [], home: "/root" };
const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

describe("buildEnvironment", () => {
  test("has PATH, HOSTNAME and HOME, and TERM with a terminal", () => {
    expect(buildEnvironment(base)).toEqual([path, "HOSTNAME=abc", "HOME=/root"]);
    expect(buildEnvironment({ ...base, terminal: true })).toEqual([path, "HOSTNAME=abc", "TERM=xterm", "HOME=/root"]);
  });

  test("the last of equal keys wins: the user's over the image's over the defaults", () => {
    const image = ["PATH=/bin", "A=1", "A=2", "B=image", "TERM=vt100"];
    const user = ["B=user", "HOSTNAME=mine", "C=", "D=a=b"];
    expect(buildEnvironment({ ...base, terminal: true, image, user })).toEqual([
      "PATH=/bin",
      "HOSTNAME=mine",
      "TERM=vt100",
      "A=2",
      "B=user",
      "C=",
      "D=a=b",
      "HOME=/root",
    ]);
  });

  test("a key alone removes the variable", () => {
    expect(buildEnvironment({ ...base, image: ["A=1"], user: ["A", "PATH"] })).toEqual(["HOSTNAME=abc", "HOME=/root"]);
  });

  test.each([
    [["HOME=/srv"], "HOME=/srv"],
    [["HOME="], "HOME=/root"],
    [["HOME"], "HOME=/root"],
  ])("HOME of %j", (user, home) => {
    expect(buildEnvironment({ ...base, user })).toContain(home);
  });

  test("a NUL is refused without showing the value", () => {
    const build = () => buildEnvironment({ ...base, image: ["KEY=secret\0x"] });
    expect(build).toThrow(InvalidDocumentError);
    expect(build).toThrow(/"KEY" holds a NUL/);
    expect(build).not.toThrow(/secret/);
  });
});

describe("resolveUserEnvironment", () => {
  const host = { FROM_HOST: "h", EMPTY: "" };

  test("takes the values of keys alone from the host, and nothing else", () => {
    expect(resolveUserEnvironment(["FROM_HOST", "EMPTY", "MISSING", "A=b c", "X="], [], host)).toEqual([
      "FROM_HOST=h",
      "EMPTY=",
      "MISSING",
      "A=b c",
      "X=",
    ]);
  });

  test.each(["", "=", "=x"])("refuses %j", (entry) => {
    expect(() => resolveUserEnvironment([entry], [], host)).toThrow(UsageError);
  });

  test("files come before single variables, in their order", () => {
    using directory = new TemporaryDirectory("env");
    const [one, two] = [`${directory.path}/1`, `${directory.path}/2`];
    writeFileSync(one, "A=1\nB=1");
    writeFileSync(two, "A=2\n");
    expect(resolveUserEnvironment(["B=3"], [one, two], host)).toEqual(["A=1", "B=1", "A=2", "B=3"]);
    expect(() => resolveUserEnvironment([], [`${directory.path}/none`], host)).toThrow(UsageError);
  });

  test("a file that never ends is refused", () => {
    expect(() => resolveUserEnvironment([], ["/dev/zero"], host)).toThrow(/longer than/);
  });
});

describe("parseEnvironmentFile", () => {
  const parse = (text: string | Uint8Array) =>
    parseEnvironmentFile(typeof text === "string" ? Buffer.from(text) : text, "f.env", { SET: "from host" });

  test("keeps values as they are", () => {
    const text = '\uFEFFA=1\r\n# comment\n\n  B="q" # x \n\tC=\nD==\nE= lead\n';
    expect(parse(text)).toEqual(["A=1", 'B="q" # x ', "C=", "D==", "E= lead"]);
  });

  test("a key alone is taken from the host, or left out", () => {
    expect(parse("SET\nNOT_SET\n")).toEqual(["SET=from host"]);
  });

  test.each<[string | Uint8Array, RegExp]>([
    ["OK=1\nA B=1", /f\.env:2: .*"A B" has white space/],
    ["# x\n=1", /f\.env:2: no variable name/],
    [new Uint8Array([65, 61, 10, 66, 61, 0xff]), /f\.env:2: not UTF-8/],
    ["A=1\nB=\0", /f\.env:2: a NUL/],
    ["\r\nA=1\r\nC\tD=1", /f\.env:3: .*has white space/],
  ])("names the line of an error: %j", (text, message) => {
    expect(() => parse(text)).toThrow(message);
  });
});
