import { exists, readControl } from "../files.ts";
import { SystemCallError } from "../../../util/errors.ts";
import type { BlockIoEntry, Count, Pressure, PressureLine } from "./types.ts";

/** `max` of version 2: runc tells the largest number of 64 bits. */
const unlimited = 0xffff_ffff_ffff_ffffn;

/** A count of the kernel's, exactly. A negative one, of old kernels, is 0, as runc has it. */
export function parseCount(text: string): Count {
  if (text === "max") return unlimited;
  const number = Number(text);
  if (Number.isSafeInteger(number)) return Math.max(0, number);
  return /^\d+$/.test(text) ? BigInt(text) : 0;
}

/** Lines of a key and a count: `memory.stat`, `cpu.stat`, `memory.events`. */
export function parseKeyed(text: string): Record<string, Count> {
  const counts: Record<string, Count> = {};
  for (const line of text.split("\n")) {
    const space = line.indexOf(" ");
    if (space > 0) counts[line.slice(0, space)] = parseCount(line.slice(space + 1));
  }
  return counts;
}

/** A list such as `0-3,7` as its numbers. */
export function parseNumberList(text: string): number[] {
  const numbers: number[] = [];
  for (const part of text.split(",")) {
    const range = /^(\d+)(?:-(\d+))?$/.exec(part);
    if (range === null) continue;
    for (let number = Number(range[1]); number <= Number(range[2] ?? range[1]); number++) numbers.push(number);
  }
  return numbers;
}

/** Lines such as `8:0 Read 4096` or `8:0 4096`; the sum of all devices at the end is left out. */
export function parseBlockIo(text: string): BlockIoEntry[] {
  const entries: BlockIoEntry[] = [];
  for (const line of text.split("\n")) {
    const [, major, minor, op, value] = /^(\d+):(\d+) (?:(\w+) )?(\d+)$/.exec(line) ?? [];
    if (value === undefined) continue;
    entries.push({ major: Number(major), minor: Number(minor), op: op ?? "", value: parseCount(value) });
  }
  return entries;
}

/** Lines such as `8:0 rbytes=4096 wbytes=0 rios=1 wios=0 …` of `io.stat`. */
export function parseIoStat(text: string): { bytes: BlockIoEntry[]; operations: BlockIoEntry[] } {
  const bytes: BlockIoEntry[] = [];
  const operations: BlockIoEntry[] = [];
  for (const line of text.split("\n")) {
    const [device = "", ...words] = line.split(" ");
    const [, major, minor] = /^(\d+):(\d+)$/.exec(device) ?? [];
    if (minor === undefined) continue;
    for (const word of words) {
      const [, direction, what, value] = /^([rw])(bytes|ios)=(\d+)$/.exec(word) ?? [];
      if (value === undefined) continue;
      (what === "bytes" ? bytes : operations).push({
        major: Number(major),
        minor: Number(minor),
        op: direction === "r" ? "Read" : "Write",
        value: parseCount(value),
      });
    }
  }
  return { bytes, operations };
}

/** `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, and the same for `full`, which old kernels do not have for CPUs. */
export function parsePressure(text: string): Pressure {
  const line = (name: string): PressureLine => {
    const words = text.split("\n").find((one) => one.startsWith(`${name} `));
    const value = (key: string): string => new RegExp(` ${key}=(\\S+)`).exec(words ?? "")?.[1] ?? "0";
    return {
      avg10: Number(value("avg10")),
      avg60: Number(value("avg60")),
      avg300: Number(value("avg300")),
      total: parseCount(value("total")),
    };
  };
  return { some: line("some"), full: line("full") };
}

/** A control file's text; empty when this kernel, or this cgroup, does not have it. */
export function readIfPresent(path: string): string {
  try {
    return readControl(path);
  } catch (error) {
    // Not supported: pressure that was switched off, and lists of threaded cgroups.
    if (error instanceof SystemCallError && ["ENOENT", "ENODEV", "EOPNOTSUPP"].includes(error.errnoName)) return "";
    throw error;
  }
}

/** The count in a control file; 0 when there is none. */
export function readCount(path: string): Count {
  const text = readIfPresent(path);
  return text === "" ? 0 : parseCount(text);
}

/** The pressure of a resource; undefined where the kernel does not measure it. */
export function readPressure(path: string): Pressure | undefined {
  const text = exists(path) ? readIfPresent(path) : "";
  return text === "" ? undefined : parsePressure(text);
}
