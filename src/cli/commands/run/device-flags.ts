import { resolve } from "node:path";
import type { DeviceOption } from "../../../container/options.ts";
import type { DeviceCgroupRule } from "../../../oci/runtime-spec.ts";
import { UsageError } from "../../../util/errors.ts";
import type { FlagDefinitions } from "../../flags.ts";
import { groups } from "./groups.ts";

export const deviceFlags = {
  device: {
    type: "string",
    repeated: true,
    valueHint: "HOST[:TARGET[:rwm]]",
    group: groups.devices,
    description: "Give it a device of the host, or all below a directory",
  },
  "device-cgroup-rule": {
    type: "string",
    repeated: true,
    valueHint: "'TYPE MAJOR:MINOR rwm'",
    group: groups.devices,
    description: "Let it use devices whose nodes it makes itself: 'c 189:* rw'",
  },
  sysctl: {
    type: "string",
    repeated: true,
    valueHint: "NAME=VALUE",
    group: groups.devices,
    description: "Change a setting of the kernel that is the container's own: net.*, kernel.shm*, …",
  },
} as const satisfies FlagDefinitions;

const access = /^(?!.*(.).*\1)[rwm]{1,3}$/;

/**
 * Reads a value of `--device`. Of two parts the second is the access, if it can be that.
 * @throws {UsageError}
 */
export function parseDevice(text: string): DeviceOption {
  const wrong = (reason: string) =>
    new UsageError(`invalid --device ${JSON.stringify(text)}: ${reason}`, {
      hint: "it looks like /dev/fuse, /dev/sda:/dev/xvda or /dev/sda:/dev/xvda:r",
    });
  const [source = "", second, third, ...more] = text.split(":");
  if (more.length > 0) throw wrong("it has more than three parts");
  if (!source.startsWith("/")) {
    throw wrong(
      /^[^/]+\/[^=]+=.+$/.test(text)
        ? "gocker does not read CDI's descriptions of devices"
        : `${JSON.stringify(source)} is not an absolute path`,
    );
  }
  const isShort = third === undefined && second !== undefined && access.test(second);
  const target = isShort || second === undefined || second === "" ? source : second;
  const mode = isShort ? second : (third ?? "rwm");
  if (!target.startsWith("/")) throw wrong(`${JSON.stringify(target)} is not an absolute path`);
  if (resolve(target) === "/") throw wrong("it would take the place of the container's root directory");
  if (!access.test(mode)) throw wrong(`${JSON.stringify(mode)} is not made of r, w and m, each at most once`);
  return { source: resolve(source), target: resolve(target), access: mode };
}

/**
 * Reads a value of `--device-cgroup-rule`, in the form of the kernel's devices.allow.
 * @throws {UsageError}
 */
export function parseDeviceRule(text: string): DeviceCgroupRule {
  const match = /^([acb]) (\d+|\*):(\d+|\*) ([rwm]{1,3})$/.exec(text);
  if (match === null) {
    throw new UsageError(`invalid --device-cgroup-rule ${JSON.stringify(text)}`, {
      hint: "it looks like 'c 189:* rmw': a, b or c, the device's numbers, and some of r, w and m",
    });
  }
  const [, type, major, minor, rights] = match;
  const number = (digits: string | undefined) => (digits === "*" ? undefined : Number(digits));
  const numbers = { major: number(major), minor: number(minor) };
  return {
    allow: true,
    type: type as "a" | "b" | "c",
    ...(numbers.major !== undefined && { major: numbers.major }),
    ...(numbers.minor !== undefined && { minor: numbers.minor }),
    access: rights as string,
  };
}

/**
 * Reads the values of `--sysctl`; the last of equal names counts.
 * @throws {UsageError} one is not of the form NAME=VALUE
 */
export function parseSysctls(texts: readonly string[]): Record<string, string> {
  const sysctls = new Map<string, string>();
  for (const text of texts) {
    const match = /^([\w./-]+)=(.*)$/s.exec(text);
    if (match === null) {
      throw new UsageError(`invalid --sysctl ${JSON.stringify(text)}: it is not of the form NAME=VALUE`, {
        hint: "it looks like net.ipv4.ip_forward=1",
      });
    }
    sysctls.set(match[1] as string, match[2] as string);
  }
  return Object.fromEntries(sysctls);
}
