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
import { flags } from "./explain/structures.ts";
import { wrap } from "./help.ts";
import { harmless, type Style } from "./output/style.ts";
import { padEnd, padStart } from "./output/table.ts";
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

const slowest = 3;

/**
 * A launch plan for people: the namespaces that the container is born into, then every step in the order in which the
 * kernel is asked, with its system call; a heading where the subject changes. With times, how long each took.
 */
export function explainPlan(plan: ExplainedPlan, layout: ExplainLayout): string {
  const { style } = layout;
  const sections = [summary(plan, style), birth(plan, layout)];
  let group: StepGroup | undefined;
  const explained = new Set<StepGroup>();
  for (const [index, step] of plan.steps.entries()) {
    if (step.group !== group) {
      const text = explained.has(step.group) ? "" : style.dim(`: ${groupTexts[step.group]}`);
      sections.push(`\n${style.bold(step.group)}${text}\n`);
      group = step.group;
      explained.add(group);
    }
    sections.push(stepText(step, index, plan, layout));
  }
  sections.push(slowSteps(plan, style));
  return sections.join("");
}

function summary({ steps, times }: ExplainedPlan, style: Style): string {
  // The clone3 that makes the process counts too.
  const calls = style.bold(`A container in ${count(steps.length + 1, "system call")}`);
  const total =
    times === undefined
      ? ""
      : `, ${formatNanoseconds(times.reduce((sum, time) => sum + time, 0))} from the first step to the last`;
  return `${calls}${total}\n`;
}

function birth({ clone, steps }: ExplainedPlan, { style, width }: ExplainLayout): string {
  const unshared = steps
    .filter((step) => step.syscall === "unshare")
    .reduce((bits, step) => bits | BigInt(step.args[0] as number | bigint), 0n);
  const own = (flag: number) => ((clone.flags | unshared) & BigInt(flag)) !== 0n;
  const lines = namespaces.map((namespace) => {
    const has = own(namespace.flag);
    const sign = has ? style.green("own   ") : style.yellow("shared");
    return `       ${sign}  ${padEnd(namespace.name, 8)}  ${style.dim(has ? namespace.own : namespace.shared)}\n`;
  });
  const call = `clone3({flags=${flags(clone.flags, cloneFlags)}})`;
  return [
    `\n${style.bold("birth")}${style.dim(": a new process, in namespaces of its own from its first instruction")}\n`,
    `       Make the container's first process\n`,
    ...callLines(call, width, style),
    ...lines,
  ].join("");
}

const numberWidth = 4;
const timeWidth = 8;

function stepText(step: Step, index: number, { times }: ExplainedPlan, { style, width }: ExplainLayout): string {
  const number = padStart(String(index + 1), numberWidth);
  const time = times?.[index];
  const left = times !== undefined && time === 0;
  const taken = time === undefined ? "" : padStart(left ? "left out" : formatNanoseconds(time), timeWidth);
  const label = harmless(step.label);
  const remark = toleranceOf(step);
  const head = `${number}   ${left ? style.dim(label) : label}`;
  const room = Math.max(1, width - Bun.stringWidth(head) - timeWidth - 1);
  const first = taken === "" ? head : `${head}${" ".repeat(room)}${left ? style.dim(taken) : style.cyan(taken)}`;
  return `${first}\n${callLines(harmless(showCall(step)) + remark, width, style).join("")}`;
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

const indent = " ".repeat(numberWidth + 3);

/** The call, dim, broken between words where the line ends. */
function callLines(call: string, width: number, style: Style): string[] {
  const room = Math.max(20, width - indent.length - 2);
  return wrap(call, room).map((line, index) => `${indent}${index === 0 ? "" : "  "}${style.dim(line)}\n`);
}

function slowSteps({ steps, times }: ExplainedPlan, style: Style): string {
  if (times === undefined) return "";
  const ranked = times
    .map((time, index) => ({ time, index }))
    .toSorted((a, b) => b.time - a.time)
    .slice(0, slowest);
  const lines = ranked.map(({ time, index }) => {
    const number = padStart(String(index + 1), numberWidth);
    return `${number}   ${padStart(formatNanoseconds(time), timeWidth)}   ${harmless(steps[index]?.label ?? "")}\n`;
  });
  return `\n${style.bold("what took longest")}\n${lines.join("")}`;
}
