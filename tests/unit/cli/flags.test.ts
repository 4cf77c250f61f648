import { describe, expect, test } from "bun:test";
import { alternatives, type FlagDefinitions, parseFlags } from "../../../src/cli/flags.ts";
import { UsageError } from "../../../src/util/errors.ts";

const definitions = {
  interactive: { type: "boolean", alias: "i" },
  tty: { type: "boolean", alias: "t" },
  rm: { type: "boolean" },
  "no-trunc": { type: "boolean" },
  name: { type: "string" },
  env: { type: "string", alias: "e", repeated: true, valueHint: "KEY[=VALUE]" },
  workdir: { type: "string", alias: "w" },
  network: { type: "string", alias: "net", default: "host" },
  hostname: { type: "string", alias: "h" },
  pull: { type: "enum", options: ["always", "missing", "never"], default: "missing" },
  explain: { type: "enum", options: ["run", "only"], bare: "run" },
  help: { type: "boolean" },
} as const satisfies FlagDefinitions;

const unset = {
  interactive: false,
  tty: false,
  rm: false,
  "no-trunc": false,
  name: undefined,
  env: [],
  workdir: undefined,
  network: "host",
  hostname: undefined,
  pull: "missing",
  explain: undefined,
  help: false,
};

const parse = (words: string[], stopAtOperand = true) =>
  parseFlags(words, definitions, { command: "run", stopAtOperand, absent: new Set(["detach", "d"]) });

/** Each line was compared with what the docker command line 28.2 makes of it. */
const readings: [words: string, flags: Partial<Record<keyof typeof unset, unknown>>, operands: string[]][] = [
  ["alpine", {}, ["alpine"]],
  ["-it alpine sh", { interactive: true, tty: true }, ["alpine", "sh"]],
  ["-ti alpine", { interactive: true, tty: true }, ["alpine"]],
  ["-i -t alpine", { interactive: true, tty: true }, ["alpine"]],
  ["-ite A=b alpine", { interactive: true, tty: true, env: ["A=b"] }, ["alpine"]],
  ["-iteA=b alpine", { interactive: true, tty: true, env: ["A=b"] }, ["alpine"]],
  ["-ite=A=b alpine", { interactive: true, tty: true, env: ["A=b"] }, ["alpine"]],
  ["-e A=b -eC=d --env E=f --env=G=h alpine", { env: ["A=b", "C=d", "E=f", "G=h"] }, ["alpine"]],
  ["-e -t alpine", { env: ["-t"] }, ["alpine"]],
  ["-e -- alpine", { env: ["--"] }, ["alpine"]],
  ["--name --help alpine", { name: "--help" }, ["alpine"]],
  ["--name= alpine", { name: "" }, ["alpine"]],
  ["--name a --name b alpine", { name: "b" }, ["alpine"]],
  ["--name=a=b alpine", { name: "a=b" }, ["alpine"]],
  ["-w=/a alpine", { workdir: "/a" }, ["alpine"]],
  ["-w= alpine", { workdir: "=" }, ["alpine"]],
  ["-w/a alpine", { workdir: "/a" }, ["alpine"]],
  ["-h host alpine", { hostname: "host" }, ["alpine"]],
  ["--rm=false alpine", {}, ["alpine"]],
  ["--rm=true alpine", { rm: true }, ["alpine"]],
  ["--rm --rm=0 alpine", {}, ["alpine"]],
  ["--rm=T alpine", { rm: true }, ["alpine"]],
  ["-t=false -i alpine", { interactive: true }, ["alpine"]],
  ["-it=false alpine", { interactive: true }, ["alpine"]],
  ["--rm true", { rm: true }, ["true"]],
  ["--net none alpine", { network: "none" }, ["alpine"]],
  ["--network none --net=host alpine", { network: "host" }, ["alpine"]],
  ["--pull always alpine", { pull: "always" }, ["alpine"]],
  ["--no-trunc alpine", { "no-trunc": true }, ["alpine"]],
  ["--no-trunc=false alpine", {}, ["alpine"]],
  ["--explain alpine", { explain: "run" }, ["alpine"]],
  ["--explain=only alpine", { explain: "only" }, ["alpine"]],
  ["-- alpine", {}, ["alpine"]],
  ["-i -- -t", { interactive: true }, ["-t"]],
  ["alpine -- ls", {}, ["alpine", "--", "ls"]],
  ["alpine ls --help -la --no-color /", {}, ["alpine", "ls", "--help", "-la", "--no-color", "/"]],
  ["alpine --rm -it --nonsense", {}, ["alpine", "--rm", "-it", "--nonsense"]],
  ["- alpine", {}, ["-", "alpine"]],
  ["", {}, []],
];

test.each(readings)("%s", (line, flags, operands) => {
  const words = line === "" ? [] : line.split(" ");
  const parsed = parse(words);
  expect(parsed.flags).toEqual({ ...unset, ...flags } as typeof parsed.flags);
  expect(parsed.operands).toEqual(operands);
});

test("without an end at the first operand, flags and operands may mix until --", () => {
  const parsed = parse(["one", "-i", "two", "--rm", "--", "-t", "--"], false);
  expect(parsed.operands).toEqual(["one", "two", "-t", "--"]);
  expect(parsed.flags).toMatchObject({ interactive: true, rm: true, tty: false });
});

test("tells which flags were given, also with their default", () => {
  expect([...parse(["--network", "host", "--rm=false", "a"]).given]).toEqual(["network", "rm"]);
});

test("an empty word is a value and an operand like any other", () => {
  expect(parse(["-e", "", "--name", "", "", "x"])).toMatchObject({
    flags: { env: [""], name: "" },
    operands: ["", "x"],
  });
});

test("whoever asks for help gets it, whatever comes after", () => {
  expect(parse(["-i", "--help", "--nonsense"]).flags).toMatchObject({ interactive: true, help: true });
  expect(() => parse(["--nonsense", "--help"])).toThrow("unknown flag --nonsense");
});

test("values of one parse do not show up in the next", () => {
  parse(["-e", "A=b", "x"]);
  expect(parse(["x"]).flags.env).toEqual([]);
});

const mistakes: [line: string, message: string, hint: string][] = [
  ["--nmae x", "run: unknown flag --nmae", "did you mean --name? gocker run --help lists the flags"],
  ["--enviroment x", "run: unknown flag --enviroment", "gocker run --help lists the flags"],
  ["--notrunc x", "run: unknown flag --notrunc", "did you mean --no-trunc? gocker run --help lists the flags"],
  ["--no-rm x", "run: unknown flag --no-rm", "gocker run --help lists the flags"],
  ["--no-tty x", "run: unknown flag --no-tty", "gocker run --help lists the flags"],
  ["--it x", "run: unknown flag --it", "did you mean -it? gocker run --help lists the flags"],
  ["-name x", "run: unknown flag -n in -name", "did you mean --name? gocker run --help lists the flags"],
  ["-itx x", "run: unknown flag -x in -itx", "gocker run --help lists the flags"],
  ["-x x", "run: unknown flag -x", "gocker run --help lists the flags"],
  ["-t= x", "run: unknown flag -= in -t=", "gocker run --help lists the flags"],
  ["-i🦆 x", "run: unknown flag -🦆 in -i🦆", "gocker run --help lists the flags"],
  ["-d x", "run: -d is a flag of Docker's that gocker does not have yet", "gocker run --help lists the flags"],
  [
    "--detach x",
    "run: --detach is a flag of Docker's that gocker does not have yet",
    "gocker run --help lists the flags",
  ],
  ["--name", "run: --name needs a value (--name NAME)", "gocker run --help lists the flags"],
  ["-e", "run: -e needs a value (-e KEY[=VALUE])", "gocker run --help lists the flags"],
  ["--rm=maybe x", 'run: --rm is true or false, not "maybe"', "gocker run --help lists the flags"],
  ["--rm= x", 'run: --rm is true or false, not ""', "gocker run --help lists the flags"],
  [
    "--pull=sometimes x",
    'run: --pull must be always, missing or never, not "sometimes"',
    "gocker run --help lists the flags",
  ],
  ["--=x x", 'run: "--=x" is not a flag', "gocker run --help lists the flags"],
  ["---name x", 'run: "---name" is not a flag', "gocker run --help lists the flags"],
  ["--constructor x", "run: unknown flag --constructor", "gocker run --help lists the flags"],
  ["--__proto__ x", "run: unknown flag --__proto__", "gocker run --help lists the flags"],
];

describe("mistakes", () => {
  test.each(mistakes)("%s", (line, message, hint) => {
    let caught: unknown;
    try {
      parse(line.split(" "));
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(UsageError);
    expect(caught).toMatchObject({ message, hint });
  });

  test("a letter that takes a value takes what follows it", () => {
    expect(parse(["-it", "-we"]).flags.workdir).toBe("e");
  });
});

test("lists alternatives in words", () => {
  expect([[], ["a"], ["a", "b"], ["a", "b", "c"]].map(alternatives)).toEqual(["", "a", "a or b", "a, b or c"]);
});
