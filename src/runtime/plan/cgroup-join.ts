import type { Step } from "../../linux/launch/plan.ts";
import type { PlanBuilder } from "./builder.ts";

const group = "cgroup";

/**
 * Joins the container's cgroup, and closes the files by which that is done: they are the host's, open for writing, and
 * whoever gets hold of one moves processes out of the container's limits (CVE-2016-9962). So this comes before the process
 * is where another one of the container's could look into it.
 * @param steps of `Cgroup.joinSteps`
 */
export function addCgroupJoin(builder: PlanBuilder, steps: readonly Step[]): void {
  for (const step of steps) builder.add(step);
  for (const [first, last] of ranges(joinedDescriptors(steps))) {
    builder.add({ label: "Close the cgroup's files", group, syscall: "close_range", args: [first, last, 0] });
  }
}

/** The descriptors by which steps join a cgroup. */
export function joinedDescriptors(steps: readonly Step[]): number[] {
  const joined = steps.flatMap((step) =>
    step.group === group && step.syscall === "write" ? step.args.slice(0, 1) : [],
  );
  return joined.filter((argument) => typeof argument === "number");
}

/** Numbers that follow one another, as one range. */
function ranges(numbers: readonly number[]): [first: number, last: number][] {
  const found: [number, number][] = [];
  for (const number of numbers.toSorted((a, b) => a - b)) {
    const range = found.at(-1);
    if (range !== undefined && number === range[1] + 1) range[1] = number;
    else found.push([number, number]);
  }
  return found;
}
