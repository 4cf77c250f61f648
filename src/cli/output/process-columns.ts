import type { ListedProcess, ProcessList } from "../../runtime/ps.ts";
import { harmless } from "./style.ts";

/** A column of a list of processes: what ps(1) has for it. */
export interface ProcessColumn {
  readonly heading: string;
  readonly value: (process: ListedProcess, list: ProcessList) => string;
}

/** ps(1) cuts names to this width. */
const nameWidth = 8;

const user = (of: (process: ListedProcess) => number): ProcessColumn["value"] => named(of, ({ users }) => users);
const group = (of: (process: ListedProcess) => number): ProcessColumn["value"] => named(of, ({ groups }) => groups);

function named(
  of: (process: ListedProcess) => number,
  names: (list: ProcessList) => ReadonlyMap<number, string>,
): ProcessColumn["value"] {
  return (process, list) => {
    const name = names(list).get(of(process)) ?? String(of(process));
    return name.length > nameWidth ? `${name.slice(0, nameWidth - 1)}+` : name;
  };
}

const columns = {
  pid: { heading: "PID", value: ({ pid }) => String(pid) },
  ppid: { heading: "PPID", value: ({ parent }) => String(parent) },
  pgid: { heading: "PGID", value: (process) => String(process.group) },
  sid: { heading: "SID", value: ({ session }) => String(session) },
  user: { heading: "USER", value: user(({ effectiveUid }) => effectiveUid) },
  ruser: { heading: "RUSER", value: user(({ uid }) => uid) },
  uid: { heading: "UID", value: ({ effectiveUid }) => String(effectiveUid) },
  ruid: { heading: "RUID", value: ({ uid }) => String(uid) },
  group: { heading: "GROUP", value: group(({ effectiveGid }) => effectiveGid) },
  rgroup: { heading: "RGROUP", value: group(({ gid }) => gid) },
  gid: { heading: "GID", value: ({ effectiveGid }) => String(effectiveGid) },
  rgid: { heading: "RGID", value: ({ gid }) => String(gid) },
  c: { heading: "C", value: (process, list) => String(Math.min(99, Math.floor(processorShare(process, list)))) },
  pcpu: { heading: "%CPU", value: (process, list) => processorShare(process, list).toFixed(1) },
  pmem: {
    heading: "%MEM",
    value: ({ residentMemory }, { memory }) => (memory === 0 ? 0 : (residentMemory / memory) * 100).toFixed(1),
  },
  vsz: { heading: "VSZ", value: ({ virtualMemory }) => String(virtualMemory) },
  rss: { heading: "RSS", value: ({ residentMemory }) => String(residentMemory) },
  tty: { heading: "TT", value: ({ terminal }) => terminal },
  s: { heading: "S", value: ({ state }) => state },
  stat: { heading: "STAT", value: states },
  ni: { heading: "NI", value: ({ nice }) => String(nice) },
  nlwp: { heading: "NLWP", value: ({ threads }) => String(threads) },
  stime: { heading: "STIME", value: ({ started }, { now }) => startTime(started, now) },
  lstart: { heading: "STARTED", value: ({ started }) => wholeTime(started) },
  etime: { heading: "ELAPSED", value: ({ started }, { now }) => elapsed(secondsBetween(started, now)) },
  etimes: { heading: "ELAPSED", value: ({ started }, { now }) => String(secondsBetween(started, now)) },
  time: { heading: "TIME", value: ({ time }) => clock(Math.floor(time)) },
  bsdtime: { heading: "TIME", value: ({ time }) => `${Math.floor(time / 60)}:${two(Math.floor(time) % 60)}` },
  comm: { heading: "COMMAND", value: ({ name }) => harmless(name) },
  args: { heading: "COMMAND", value: ({ command }) => harmless(command) },
} as const satisfies Readonly<Record<string, ProcessColumn>>;

/** Other names of the same, some with a heading of their own. */
const aliases: Readonly<Record<string, readonly [name: keyof typeof columns, heading?: string]>> = {
  pgrp: ["pgid", "PGRP"],
  sess: ["sid", "SESS"],
  session: ["sid", "SESS"],
  euser: ["user", "EUSER"],
  uname: ["user"],
  euid: ["uid", "EUID"],
  egroup: ["group", "EGROUP"],
  egid: ["gid", "EGID"],
  "%cpu": ["pcpu"],
  "%mem": ["pmem"],
  vsize: ["vsz"],
  rssize: ["rss"],
  tt: ["tty"],
  tname: ["tty", "TTY"],
  state: ["s"],
  nice: ["ni"],
  thcount: ["nlwp", "THCNT"],
  start_time: ["stime", "START"],
  start: ["stime", "STARTED"],
  bsdstart: ["stime", "START"],
  cputime: ["time"],
  ucmd: ["comm", "CMD"],
  ucomm: ["comm"],
  cmd: ["args", "CMD"],
  command: ["args"],
};

/** The names that {@link processColumn} knows. */
export const processColumnNames: readonly string[] = [...Object.keys(columns), ...Object.keys(aliases)];

/** A column by its name in `ps -o`; undefined when gocker has none of that name. */
export function processColumn(name: string): ProcessColumn | undefined {
  if (Object.hasOwn(columns, name)) return columns[name as keyof typeof columns];
  const [other, heading] = (Object.hasOwn(aliases, name) ? aliases[name] : undefined) ?? [];
  if (other === undefined) return undefined;
  return { ...columns[other], ...(heading !== undefined && { heading }) };
}

const terminal: ProcessColumn = { ...columns.tty, heading: "TTY" };

/** The columns of `ps -ef`. */
export const fullColumns: readonly ProcessColumn[] = [
  { ...columns.user, heading: "UID" },
  columns.pid,
  columns.ppid,
  columns.c,
  columns.stime,
  terminal,
  columns.time,
  { ...columns.args, heading: "CMD" },
];

/** The columns of `ps -e`. */
export const shortColumns: readonly ProcessColumn[] = [
  columns.pid,
  terminal,
  columns.time,
  { ...columns.comm, heading: "CMD" },
];

/** The columns of `ps aux`. */
export const userColumns: readonly ProcessColumn[] = [
  columns.user,
  columns.pid,
  columns.pcpu,
  columns.pmem,
  columns.vsz,
  columns.rss,
  terminal,
  columns.stat,
  { ...columns.stime, heading: "START" },
  columns.bsdtime,
  columns.args,
];

/** The columns of `ps ax`. */
export const plainColumns: readonly ProcessColumn[] = [
  columns.pid,
  terminal,
  columns.stat,
  columns.bsdtime,
  columns.args,
];

/** Percent of one processor, since the process has started. */
function processorShare({ time, started }: ListedProcess, { now }: ProcessList): number {
  const seconds = (now.getTime() - started.getTime()) / 1000;
  return seconds <= 0 ? 0 : (time / seconds) * 100;
}

/** The letters behind the state's own. ps(1), "Process state codes" */
function states({ state, nice, lockedMemory, session, pid, threads, foreground }: ListedProcess): string {
  const niceness = nice < 0 ? "<" : nice > 0 ? "N" : "";
  return [
    state,
    niceness,
    lockedMemory > 0 ? "L" : "",
    session === pid ? "s" : "",
    threads > 1 ? "l" : "",
    foreground ? "+" : "",
  ].join("");
}

function two(number: number): string {
  return String(number).padStart(2, "0");
}

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const weekDays = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/** The time of today, else the day of this year, else the year. */
function startTime(started: Date, now: Date): string {
  if (started.getFullYear() !== now.getFullYear()) return String(started.getFullYear());
  const month = months[started.getMonth()] ?? "";
  const isToday = started.getMonth() === now.getMonth() && started.getDate() === now.getDate();
  return isToday ? `${two(started.getHours())}:${two(started.getMinutes())}` : `${month}${two(started.getDate())}`;
}

/** As ctime(3) has it. */
function wholeTime(time: Date): string {
  const date = `${weekDays[time.getDay()]} ${months[time.getMonth()]} ${String(time.getDate()).padStart(2)}`;
  return `${date} ${[time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(":")} ${time.getFullYear()}`;
}

function secondsBetween(from: Date, to: Date): number {
  return Math.max(0, Math.floor((to.getTime() - from.getTime()) / 1000));
}

/** `[D-]HH:MM:SS` */
function clock(seconds: number): string {
  const days = Math.floor(seconds / 86_400);
  const rest = [Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60].map(two).join(":");
  return days > 0 ? `${days}-${rest}` : rest;
}

/** `[[D-]HH:]MM:SS` */
function elapsed(seconds: number): string {
  return seconds < 3600 ? clock(seconds).slice("00:".length) : clock(seconds);
}
