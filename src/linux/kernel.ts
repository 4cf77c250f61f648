import { ptr } from "bun:ffi";
import { GockerError } from "../util/errors.ts";
import { systemCallError } from "./errno.ts";
import { libc } from "./libc.ts";
import { syscallNumber } from "./syscalls.ts";

/** A kernel's version as far as features go by it: 6.18 of `6.18.44-1-amd64`. */
export interface KernelVersion {
  readonly major: number;
  readonly minor: number;
}

/** Each of the six texts of the kernel's `struct new_utsname` takes so many bytes. uname(2) */
const utsFieldSize = 65;

let running: { readonly release: string; readonly version: KernelVersion } | undefined;

/** The running kernel's release as it names itself, such as `6.18.44-1-amd64`. */
export function kernelRelease(): string {
  return askKernel().release;
}

/** The running kernel's version. */
export function kernelVersion(): KernelVersion {
  return askKernel().version;
}

function askKernel() {
  if (running !== undefined) return running;
  const names = new Uint8Array(6 * utsFieldSize);
  if (libc.syscall(syscallNumber("uname"), ptr(names), 0, 0, 0, 0, 0) < 0) throw systemCallError("uname");
  const field = names.subarray(2 * utsFieldSize, 3 * utsFieldSize);
  const release = new TextDecoder().decode(field.subarray(0, field.indexOf(0)));
  return (running = { release, version: parseKernelVersion(release) });
}

/** The version in a release's text; whatever follows the second number is ignored. Throws if there are no two. */
export function parseKernelVersion(text: string): KernelVersion {
  const match = /^(\d+)\.(\d+)/.exec(text);
  if (match === null) {
    throw new GockerError("KERNEL_VERSION", `not a kernel version: ${JSON.stringify(text)}`);
  }
  return { major: Number(match[1]), minor: Number(match[2]) };
}

/** Whether a kernel is `major.minor` or newer. */
export function isAtLeast(version: KernelVersion, major: number, minor: number): boolean {
  return version.major > major || (version.major === major && version.minor >= minor);
}
