import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { processColumn, processColumnNames } from "../../../../src/cli/output/process-columns.ts";
import { columnsOf, formatProcesses } from "../../../../src/cli/output/process-list.ts";
import { listProcesses, type ListedProcess, type ProcessList } from "../../../../src/runtime/ps.ts";
import { UsageError } from "../../../../src/util/errors.ts";
import { until } from "../../../helpers/until.ts";

const process: ListedProcess = {
  pid: 42,
  parent: 1,
  group: 42,
  session: 42,
  uid: 0,
  effectiveUid: 33,
  gid: 7,
  effectiveGid: 8,
  state: "S",
  foreground: true,
  nice: -5,
  threads: 3,
  virtualMemory: 4096,
  residentMemory: 1024,
  lockedMemory: 16,
  started: new Date(2026, 2, 1, 12, 30, 5),
  terminal: "pts/0",
  time: 100_000.75,
  name: "nginx",
  command: "nginx: \u001b[31mmaster",
};

const list: ProcessList = {
  processes: [process],
  now: new Date(2026, 2, 3, 0, 30, 6),
  memory: 4096,
  users: new Map([
    [0, "root"],
    [33, "systemd-network"],
  ]),
  groups: new Map(),
};

const headings = (...words: string[]) => columnsOf(words).map(({ heading }) => heading);
const row = (...words: string[]) => columnsOf(words).map(({ value }) => value(process, list));

const full = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"];
const aux = ["USER", "PID", "%CPU", "%MEM", "VSZ", "RSS", "TTY", "STAT", "START", "TIME", "COMMAND"];

describe("the words for ps", () => {
  test.each([
    [[], full],
    [["-ef"], full],
    [["-e", "-f"], full],
    [["-fA"], full],
    [["-e"], ["PID", "TTY", "TIME", "CMD"]],
    [["aux"], aux],
    [["auxww"], aux],
    [["-aux"], aux],
    [["ax"], ["PID", "TTY", "STAT", "TIME", "COMMAND"]],
    [
      ["-o", "pid,cmd"],
      ["PID", "CMD"],
    ],
    [["-opid,cmd"], ["PID", "CMD"]],
    [
      ["-eo", "pid cmd"],
      ["PID", "CMD"],
    ],
    [
      ["axo", "pid", "-o", "%cpu=LOAD,comm="],
      ["PID", "LOAD", ""],
    ],
    [["--format", "pid"], ["PID"]],
    [["--format=pid,user"], ["PID", "USER"]],
  ])("%j", (words, expected) => {
    expect(headings(...words)).toEqual(expected);
  });

  const refused = [
    ["-Z"],
    ["--forest"],
    ["-p"],
    ["1"],
    ["-o"],
    ["-o", ","],
    ["-o", "pidd"],
    ["u1"],
    [""],
    ["-"],
    ["--"],
  ];
  test.each(refused.map((words) => [words]))("%j is refused", (words) => {
    expect(() => columnsOf(words)).toThrow(UsageError);
  });

  test("a column that is nearly known is named", () => {
    expect(() => columnsOf(["-o", "commm"])).toThrow('there is no column "commm"');
    expect(processColumnNames.every((name) => processColumn(name) !== undefined)).toBe(true);
  });
});

describe("the columns", () => {
  test("of -ef", () => {
    expect(row("-ef")).toEqual(["systemd+", "42", "1", "77", "Mar01", "pts/0", "1-03:46:40", "nginx: \\x1b[31mmaster"]);
  });

  test("of aux", () => {
    expect(row("aux")).toEqual([
      "systemd+",
      "42",
      "77.2",
      "25.0",
      "4096",
      "1024",
      "pts/0",
      "S<Lsl+",
      "Mar01",
      "1666:40",
      "nginx: \\x1b[31mmaster",
    ]);
  });

  test("times", () => {
    const show = (change: Partial<ListedProcess>, column: string, now = list.now) =>
      processColumn(column)?.value({ ...process, ...change }, { ...list, now });
    expect(show({}, "etime")).toBe("1-12:00:01");
    expect(show({}, "etimes")).toBe("129601");
    expect(show({}, "lstart")).toBe("Sun Mar  1 12:30:05 2026");
    expect(show({}, "stime", new Date(2026, 2, 1, 23))).toBe("12:30");
    expect(show({}, "stime", new Date(2027, 0, 1))).toBe("2026");
    expect(show({}, "etime", new Date(2026, 2, 1, 12, 31, 7))).toBe("01:02");
    expect(show({}, "etime", new Date(2026, 2, 1, 13, 31, 7))).toBe("01:01:02");
    // The clock was put back.
    expect(show({}, "pcpu", new Date(2026, 1, 1))).toBe("0.0");
  });

  test("a table without a heading when every column's is empty", () => {
    expect(formatProcesses(list, columnsOf(["-o", "pid=,comm="]))).toBe("42        nginx\n");
    expect(formatProcesses(list, columnsOf(["-o", "pid,comm="]), 4)).toBe("PID   \n42    nginx\n");
  });
});

describe.skipIf(Bun.which("ps") === null)("ps(1) shows the same", () => {
  // Those whose value does not change while one looks; `start` is shorter with gocker.
  const changing = new Set(["s", "stat", "state", "etime", "etimes", "start", "bsdtime"]);
  const names = processColumnNames.filter((name) => !changing.has(name));

  test.each(names)("%s", async (name) => {
    const sleeper = Bun.spawn(["sleep", "1000"]);
    try {
      // Until then it is still being loaded, and grows.
      const stat = () => readFileSync(`/proc/${sleeper.pid}/stat`, "latin1");
      await until("it sleeps", () => stat().includes("(sleep) S "));
      const theirs = Bun.spawnSync(["ps", "-ww", "-p", String(sleeper.pid), "-o", name]).stdout.toString();
      const [heading = "", value = ""] = theirs.split("\n").map((line) => line.trim());
      const mine = listProcesses({ processes: () => [sleeper.pid] });
      const column = processColumn(name)!;
      expect([column.heading, column.value(mine.processes[0]!, mine)]).toEqual([heading, value]);
    } finally {
      sleeper.kill("SIGKILL");
    }
  });
});
