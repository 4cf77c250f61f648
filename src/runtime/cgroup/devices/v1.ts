import { CgroupError } from "../errors.ts";
import { deviceAccess, type DeviceRule, type DeviceRules, formatDeviceRule } from "./rules.ts";

/** One write to a file of the devices controller. */
export interface DeviceWrite {
  readonly file: "devices.allow" | "devices.deny";
  readonly value: string;
}

type Exception = Omit<DeviceRule, "allow">;

/**
 * The writes that bring a fresh cgroup to these rules. The kernel keeps an answer for everything and a list of
 * exceptions to it, without an order (admin-guide/cgroup-v1/devices.rst), so the order is worked out here: the last
 * rule wins. A new cgroup has its parent's rules; where nothing is denied there is nothing to write.
 * @throws CgroupError an exception to an exception, which the kernel's list cannot hold
 */
export function deviceWrites({ allowByDefault, rules }: DeviceRules): DeviceWrite[] {
  const exceptions: Exception[] = [];
  for (const rule of rules) {
    if (rule.allow === allowByDefault) withdraw(exceptions, rule);
    else add(exceptions, rule);
  }
  const file = allowByDefault ? "devices.deny" : "devices.allow";
  const writes: DeviceWrite[] = exceptions.map((exception) => ({ file, value: formatDeviceRule(exception) }));
  if (!allowByDefault) writes.unshift({ file: "devices.deny", value: "a" });
  return writes;
}

/** Those that one call can ask for together; making a node asks for that alone. device_cgroup.c, Linux 6.18 */
const together = deviceAccess.read | deviceAccess.write;

/**
 * The kernel grants an access only where a single exception holds all of its bits, so a narrow exception takes over
 * what a wider one grants, and where two cross each other (`1:*` and `*:3`) there is a third.
 */
function add(exceptions: Exception[], { type, major, minor, access }: Exception): void {
  const exception = { type, major, minor, access };
  const crossings: Exception[] = [];
  let same = exceptions.length;
  for (const [index, other] of exceptions.entries()) {
    if (!overlaps(other, exception)) continue;
    const inOther = isWithin(exception, other);
    const holdsOther = isWithin(other, exception);
    if (inOther && holdsOther) {
      exception.access |= other.access;
      same = index;
    } else if (inOther) exception.access |= other.access & together;
    else if (holdsOther) exceptions[index] = { ...other, access: other.access | (access & together) };
    else if ((access & together) !== 0 && (other.access & together) !== 0) {
      crossings.push({ type, major: major ?? other.major, minor: minor ?? other.minor, access: access & together });
    }
  }
  exceptions[same] = exception;
  for (const crossing of crossings) add(exceptions, crossing);
}

function withdraw(exceptions: Exception[], rule: DeviceRule): void {
  for (let index = exceptions.length - 1; index >= 0; index--) {
    const exception = exceptions[index] as Exception;
    if (!overlaps(exception, rule) || (exception.access & rule.access) === 0) continue;
    if (!isWithin(exception, rule)) {
      throw new CgroupError(
        "CGROUPS_UNABLE",
        `cgroups of version 1 cannot ${rule.allow ? "allow" : "deny"} "${formatDeviceRule(rule)}" ` +
          `after the opposite of "${formatDeviceRule(exception)}"`,
        { hint: "list the devices one by one, or use a host with cgroups of version 2" },
      );
    }
    const access = exception.access & ~rule.access;
    if (access === 0) exceptions.splice(index, 1);
    else exceptions[index] = { ...exception, access };
  }
}

/** Whether every device of `inner` is one of `outer`. */
function isWithin(inner: Exception, outer: Exception): boolean {
  return (
    inner.type === outer.type &&
    (outer.major === undefined || outer.major === inner.major) &&
    (outer.minor === undefined || outer.minor === inner.minor)
  );
}

function overlaps(a: Exception, b: Exception): boolean {
  const meet = (x: number | undefined, y: number | undefined): boolean => x === undefined || y === undefined || x === y;
  return a.type === b.type && meet(a.major, b.major) && meet(a.minor, b.minor);
}
