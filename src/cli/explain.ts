import type { ExplainedPlan } from "../engine/run-ui.ts";
import {
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
} from "../linux/constants.ts";
import type { Step, StepGroup } from "../linux/launch/plan.ts";
import { showCall } from "./explain/arguments.ts";
import { cloneFlags } from "./explain/names.ts";
import { networkDeeds } from "./explain/network.ts";
import { flags } from "./explain/structures.ts";
import { wrap } from "./help.ts";
import { harmless, type Style } from "./output/style.ts";
import { padEnd, padStart, truncate } from "./output/table.ts";
import { count, formatNanoseconds } from "./output/units.ts";

export interface ExplainLayout {
  readonly style: Style;
  /** In character cells. */
  readonly width: number;
}

/** What each kind of namespace gives the container, and what it means to go without. */
const namespaces = [
  { flag: CLONE_NEWNS, name: "mount", own: "its own tree of file systems", shared: "the host's mounts" },
  {
    flag: CLONE_NEWPID,
    name: "pid",
    own: "its first process is number 1, and it sees no other",
    shared: "it sees the host's processes",
  },
  { flag: CLONE_NEWUTS, name: "uts", own: "its own host name", shared: "the host's name" },
  {
    flag: CLONE_NEWIPC,
    name: "ipc",
    own: "its own shared memory and message queues",
    shared: "the host's shared memory",
  },
  {
    flag: CLONE_NEWNET,
    name: "network",
    own: "its own interfaces, addresses and ports",
    shared: "the host's interfaces, addresses and ports",
  },
  {
    flag: CLONE_NEWCGROUP,
    name: "cgroup",
    own: "its own cgroup looks like the root of all",
    shared: "it sees the host's cgroups",
  },
  {
    flag: CLONE_NEWUSER,
    name: "user",
    own: "its root is a mere user of the host",
    shared: "its root is the host's root, and held by what follows",
  },
] as const;

const groupTexts: Readonly<Record<StepGroup, string>> = {
  namespaces: "what the container sees of the system",
  cgroup: "what is counted and limited as one",
  "file system": "what it finds under /",
  devices: "the few devices that it may use, and its terminal",
  security: "what it must not do, although it may believe to be root",
  process: "how this process becomes the program",
};

/** How many of the slowest steps are named. */
const slowest = 3;

/**
 * A launch plan for people: the namespaces that the container is born into, then every step in the order in which the
 * kernel is asked, with its system call; a heading where the subject changes. With times, how long each took, and what
 * turned out not to be needed in one line.
 */
export function explainPlan(plan: ExplainedPlan, layout: ExplainLayout): string {
  const { style } = layout;
  const leftOut = stepsLeftOut(plan);
  const sections = [summary(plan, leftOut, style), network(plan, layout), birth(plan, layout)];
  let group: StepGroup | undefined;
  const explained = new Set<StepGroup>();
  for (let index = 0; index < plan.steps.length; index++) {
    const step = plan.steps[index] as Step;
    if (step.group !== group && !leftOut.has(index)) {
      group = step.group;
      const text = explained.has(group) ? "" : style.dim(`: ${groupTexts[group]}`);
      sections.push(`\n${style.bold(group)}${text}\n`);
      explained.add(group);
    }
    if (leftOut.has(index)) {
      const first = index;
      while (leftOut.has(index + 1)) index++;
      sections.push(leftOutText(plan.steps, first, index, layout));
    } else sections.push(stepText(step, index, plan.times?.[index], layout));
  }
  sections.push(whereTimeWent(plan, style));
  return sections.join("");
}

/**
 * The steps that were not needed when the plan was run. One that jumps over others has no time of its own: whoever has
 * none, and may jump, has jumped.
 */
function stepsLeftOut({ steps, times }: ExplainedPlan): ReadonlySet<number> {
  const leftOut = new Set<number>();
  if (times === undefined) return leftOut;
  for (let index = 0; index < steps.length; index++) {
    if ((times[index] ?? 0) > 0) continue;
    const step = steps[index] as Step;
    const skip = step.onSuccess?.skip ?? step.onError?.skip ?? 0;
    for (let skipped = 0; skipped < skip; skipped++) leftOut.add(++index);
  }
  return leftOut;
}

function summary({ steps, times }: ExplainedPlan, leftOut: ReadonlySet<number>, style: Style): string {
  // The clone3 that makes the process counts too.
  const calls = style.bold(`A container in ${count(steps.length - leftOut.size + 1, "system call")}`);
  if (times === undefined) return `${calls}\n`;
  const total = times.reduce((sum, time) => sum + time, 0);
  return `${calls}, ${formatNanoseconds(total)} from the first step to the last\n`;
}

/** What was done for the container's network before it. */
function network({ attachments = [] }: ExplainedPlan, { style, width }: ExplainLayout): string {
  if (attachments.length === 0) return "";
  const deeds = networkDeeds(attachments).map(
    ({ label, call }) => `${indent}${label}\n${callLines(call, width, style).join("")}`,
  );
  return `\n${style.bold("network")}${style.dim(": made before the process, which joins it")}\n${deeds.join("")}`;
}

function birth({ clone, steps, attachments = [] }: ExplainedPlan, { style, width }: ExplainLayout): string {
  const made = attachments.length > 0 ? BigInt(CLONE_NEWNET) : 0n;
  const unshared = steps
    .filter((step) => step.syscall === "unshare")
    .reduce((bits, step) => bits | BigInt(step.args[0] as number | bigint), 0n);
  const lines = namespaces.map(({ flag, name, own, shared }) => {
    const has = ((clone.flags | unshared | made) & BigInt(flag)) !== 0n;
    const sign = has ? style.green("own   ") : style.yellow("shared");
    return `${indent}${sign}  ${padEnd(name, 8)}  ${style.dim(has ? own : shared)}\n`;
  });
  return [
    `\n${style.bold("birth")}${style.dim(": a new process, in namespaces of its own from its first instruction")}\n`,
    `${indent}Make the container's first process\n`,
    ...callLines(`clone3({flags=${flags(clone.flags, cloneFlags)}})`, width, style),
    ...lines,
  ].join("");
}

const numberWidth = 4;
const timeWidth = 8;
const indent = " ".repeat(numberWidth + 3);

function stepText(step: Step, index: number, time: number | undefined, { style, width }: ExplainLayout): string {
  const head = `${padStart(String(index + 1), numberWidth)}   ${readable(step.label)}`;
  const room = Math.max(1, width - Bun.stringWidth(head) - timeWidth);
  const taken = time === undefined || time === 0 ? "" : formatNanoseconds(time);
  const first = taken === "" ? head : `${head}${" ".repeat(room)}${style.cyan(padStart(taken, timeWidth))}`;
  return `${first}\n${callLines(readable(showCall(step)) + toleranceOf(step), width, style).join("")}`;
}

function leftOutText(steps: readonly Step[], first: number, last: number, { style, width }: ExplainLayout): string {
  const labels = steps.slice(first, last + 1).map(({ label }) => label.slice(0, 1).toLowerCase() + label.slice(1));
  return `${indent}${style.dim(truncate(`not needed: ${readable(labels.join("; "))}`, width - indent.length))}\n`;
}

/** What may go wrong without ending the launch, and what is left out then. */
function toleranceOf({ onError, onSuccess }: Step): string {
  const remarks: string[] = [];
  if (onError !== undefined) {
    const errors = onError.tolerate === "any" ? "any error" : onError.tolerate.join(" or ");
    const skip =
      onError.skip === undefined || onError.skip === 0 ? "may happen" : `leaves out the next ${onError.skip}`;
    remarks.push(`${errors} ${skip}`);
  }
  if (onSuccess?.skip !== undefined && onSuccess.skip > 0)
    remarks.push(`success leaves out the next ${onSuccess.skip}`);
  return remarks.length === 0 ? "" : `   // ${remarks.join("; ")}`;
}

/** Harmless for a terminal, and with IDs and digests as short as people know them. */
function readable(text: string): string {
  return harmless(text).replace(/\b([0-9a-f]{12})[0-9a-f]{52}\b/g, "$1…");
}

/** The call, dim, broken between words where the line ends. */
function callLines(call: string, width: number, style: Style): string[] {
  const room = Math.max(20, width - indent.length - 2);
  return wrap(call, room).map((line, index) => `${indent}${index === 0 ? "" : "  "}${style.dim(line)}\n`);
}

/** The sums of the groups, and the slowest steps. */
function whereTimeWent({ steps, times }: ExplainedPlan, style: Style): string {
  if (times === undefined) return "";
  const sums = new Map<StepGroup, number>();
  for (const [index, { group }] of steps.entries()) sums.set(group, (sums.get(group) ?? 0) + (times[index] ?? 0));
  const groups = [...sums].toSorted(([, a], [, b]) => b - a);
  const slow = times
    .map((time, index) => ({ time, index }))
    .toSorted((a, b) => b.time - a.time)
    .slice(0, slowest);
  const line = (time: number, what: string) =>
    `${indent}${style.cyan(padStart(formatNanoseconds(time), timeWidth))}   ${what}\n`;
  return [
    `\n${style.bold("where the time went")}\n`,
    ...groups.map(([group, time]) => line(time, group)),
    `\n${style.bold("the slowest steps")}\n`,
    ...slow.map(({ time, index }) => line(time, `${index + 1}  ${readable(steps[index]?.label ?? "")}`)),
  ].join("");
}
