import { expect, test } from "bun:test";
import { constants } from "node:os";
import { signalName, signalNumber, signalReason } from "../../../src/linux/signals.ts";

test("agrees with the C library on every signal", () => {
  for (const [name, number] of Object.entries(constants.signals)) {
    expect([name, signalNumber(name)]).toEqual([name, number]);
    expect([name, signalNumber(name.toLowerCase().slice(3))]).toEqual([name, number]);
    expect(signalNumber(signalName(number))).toBe(number);
  }
});

const texts: [text: string, number: number | undefined][] = [
  ["9", 9],
  ["64", 64],
  ["SIGRTMIN", 34],
  ["RTMIN+3", 37],
  ["SIGRTMIN+30", 64],
  ["sigrtmax", 64],
  ["SIGRTMAX-1", 63],
  ["SIGRTMAX-30", 34],
  ["SIGRTMIN+31", undefined],
  ["SIGRTMAX-31", undefined],
  ["SIGRTMIN-1", undefined],
  ["0", undefined],
  ["32", undefined],
  ["33", undefined],
  ["65", undefined],
  ["-9", undefined],
  ["9.0", undefined],
  ["", undefined],
  ["SIG", undefined],
  ["SIGSIGTERM", undefined],
  ["constructor", undefined],
  ["TERM ", undefined],
];

test.each(texts)("%j", (text, number) => {
  expect(signalNumber(text)).toBe(number);
});

test("names numbers that have none of their own", () => {
  expect([34, 37, 64, 32, 65].map(signalName)).toEqual([
    "SIGRTMIN",
    "SIGRTMIN+3",
    "SIGRTMIN+30",
    "signal 32",
    "signal 65",
  ]);
});

test("says what a program has done that is ended", () => {
  expect([9, 31, 37].map(signalReason)).toEqual(["SIGKILL", "SIGSYS (bad system call)", "SIGRTMIN+3"]);
});
