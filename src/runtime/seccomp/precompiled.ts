import type { Architecture } from "../../linux/arch.ts";
import type { Seccomp } from "../../oci/runtime-spec.ts";
import { precompiledPrograms } from "./precompiled-programs.ts";

/**
 * The program of a configuration that nearly every container has, compiled beforehand; undefined for every other one.
 * In a process that has just begun, compiling it takes about 2 ms, finding it here 0.2.
 */
export function precompiledProgram(seccomp: Seccomp, architecture: Architecture): Uint8Array | undefined {
  const known = precompiledPrograms[architecture];
  return known.fingerprint === fingerprint(seccomp) ? Uint8Array.fromBase64(known.program) : undefined;
}

/** A digest of everything in a configuration that its program depends on. */
export function fingerprint(seccomp: Seccomp): string {
  const { defaultAction, defaultErrnoRet, architectures = [], syscalls = [] } = seccomp;
  const lines = [`${defaultAction} ${defaultErrnoRet} ${architectures.join(" ")}`];
  for (const { action, errnoRet, args = [], names } of syscalls) {
    const conditions = args.map(({ index, op, value, valueTwo = 0 }) => `${index} ${op} ${value} ${valueTwo}`);
    lines.push(`${action} ${errnoRet} ${conditions.join(",")} ${names.join(" ")}`);
  }
  return new Bun.CryptoHasher("sha256").update(lines.join("\n")).digest("hex");
}
