import { type Architecture, hostArchitecture } from "../../linux/arch.ts";
import { forEachSyscall, type SyscallAbi } from "../../linux/syscalls.ts";
import type { Seccomp } from "../../oci/runtime-spec.ts";
import { filterFlags, killProcess, letsThrough, refuseAsUnknown } from "./actions.ts";
import { type KernelInterface, kernelInterfaces, listedAbis, type Span } from "./architectures.ts";
import { type ArgumentBits, writeCondition } from "./conditions.ts";
import { multiplexedDecisions } from "./multiplexed.ts";
import { precompiledProgram } from "./precompiled.ts";
import { type Address, jump, ProgramBuilder } from "./program.ts";
import { type Decision, type Rules, readRules } from "./rules.ts";

/** What seccomp(2) is to be called with. */
export interface SeccompFilter {
  /** An array of `struct sock_filter`. */
  readonly program: Uint8Array;
  /** With NEW_LISTENER (8) among them the call returns the listener's file descriptor. */
  readonly flags: number;
}

/**
 * Compiles a seccomp configuration (OCI runtime specification, config-linux.md, "Seccomp") for the kernel of
 * `architecture`. Beyond what the specification says it does what runc and libseccomp do: names that the kernel's
 * tables do not have are ignored; calls newer than the newest that the profile mentions fail with ENOSYS, so that C
 * libraries fall back to older ones, when the default is to refuse; a program of an architecture that is not listed is
 * killed at its first call.
 *
 * Throws InvalidDocumentError for unknown words and values out of range, and for more rules than a filter can hold.
 */
export function compileSeccomp(
  seccomp: Seccomp,
  { architecture = hostArchitecture }: { readonly architecture?: Architecture } = {},
): SeccompFilter {
  const program = precompiledProgram(seccomp, architecture) ?? compileProgram(seccomp, architecture);
  return { program, flags: filterFlags(seccomp) };
}

/** {@link compileSeccomp}'s program, always compiled anew. */
export function compileProgram(seccomp: Seccomp, architecture: Architecture): Uint8Array {
  const rules = readRules(seccomp);
  const unlisted = letsThrough(seccomp.defaultAction) ? rules.otherwise : refuseAsUnknown;
  const abis = listedAbis(seccomp.architectures ?? [], architecture);
  const builder = new ProgramBuilder();

  const kill = builder.return(killProcess);
  const sections = kernelInterfaces[architecture].map((kernelInterface) => ({
    audit: kernelInterface.audit,
    address: writeInterface(builder, kernelInterface, abis, rules, unlisted),
  }));
  let next = kill;
  for (const { audit, address } of sections.toReversed()) {
    if (address !== undefined) next = builder.test(jump.equal, audit, address, next);
  }
  builder.load(dataOffset.architecture, next);
  return builder.finish();
}

/** `struct seccomp_data`: what is known of a call. linux/seccomp.h */
const dataOffset = { number: 0, architecture: 4 } as const;

/** What happens to the calls from number `start` on. */
interface Range {
  readonly start: number;
  readonly decision: Decision;
  readonly bits: ArgumentBits;
}

/** Writes what happens to the calls of one kernel interface; undefined when none of its ABIs is listed. */
function writeInterface(
  builder: ProgramBuilder,
  { spans }: KernelInterface,
  abis: ReadonlySet<SyscallAbi>,
  rules: Rules,
  unlisted: number,
): Address | undefined {
  if (!spans.some(({ abi }) => abis.has(abi))) return undefined;
  const ranges: Range[] = [];
  for (const [index, span] of spans.entries()) {
    const end = spans[index + 1]?.from ?? 2 ** 32;
    if (abis.has(span.abi)) {
      addRanges(ranges, span, end, rules, unlisted);
    } else {
      addRange(ranges, span.from, killProcess, span.bits);
      // A tracer's way to skip a call is to make it number -1: that must not count as a call of x32.
      addRange(ranges, 2 ** 32 - 1, rules.otherwise, span.bits);
    }
  }
  return builder.load(dataOffset.number, writeRanges(builder, ranges, 0, ranges.length, rules.otherwise));
}

/**
 * Adds what happens to the calls of one span, up to the number `end`. Calls above the newest one that the profile
 * mentions are `unlisted`; if it mentions none, nothing is known of the age of those that come.
 */
function addRanges(ranges: Range[], { abi, from, bits }: Span, end: number, rules: Rules, unlisted: number): void {
  const { decisions, otherwise } = rules;
  const overriding = abi === "i386" ? multiplexedDecisions(rules) : undefined;
  let next = from;
  forEachSyscall(abi, (name, number) => {
    const decision = overriding?.get(name) ?? decisions.get(name);
    if (decision === undefined || number < from || number >= end) return;
    if (number > next) addRange(ranges, next, otherwise, bits);
    addRange(ranges, number, decision, bits);
    next = number + 1;
  });
  addRange(ranges, next, next === from ? otherwise : unlisted, bits);
}

/** Adds the calls from `start` on, unless the same already happens to those before them. */
function addRange(ranges: Range[], start: number, decision: Decision, bits: ArgumentBits): void {
  const last = ranges[ranges.length - 1];
  if (last !== undefined && last.decision === decision && typeof decision === "number") return;
  ranges.push({ start, decision, bits });
}

/** Writes a balanced tree that finds the range of the call's number, which is in the accumulator. */
function writeRanges(
  builder: ProgramBuilder,
  ranges: readonly Range[],
  from: number,
  to: number,
  otherwise: number,
): Address {
  if (to - from === 1) return writeDecision(builder, ranges[from] as Range, otherwise);
  const middle = (from + to) >> 1;
  const above = writeRanges(builder, ranges, middle, to, otherwise);
  const below = writeRanges(builder, ranges, from, middle, otherwise);
  return builder.test(jump.greaterOrEqual, (ranges[middle] as Range).start, above, below);
}

/** Writes what happens to a call whose range is found. */
function writeDecision(builder: ProgramBuilder, { decision, bits }: Range, otherwise: number): Address {
  if (typeof decision === "number") return builder.return(decision);
  let next = builder.return(otherwise);
  for (const { conditions, returns } of decision.toReversed()) {
    const no = next;
    next = builder.return(returns);
    for (const condition of conditions.toReversed()) next = writeCondition(builder, condition, bits, next, no);
  }
  return next;
}
