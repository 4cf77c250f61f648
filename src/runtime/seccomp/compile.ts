import { type Architecture, hostArchitecture } from "../../linux/arch.ts";
import { forEachSyscall, type SyscallAbi, x32Bit } from "../../linux/syscalls.ts";
import type { Seccomp } from "../../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import { filterFlags, killProcess, letsThrough, refuseAsUnknown } from "./actions.ts";
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

/** The numbers from `from` up to the next span of the same interface; above the newest one the future lies. */
interface Span {
  readonly abi: SyscallAbi;
  readonly from: number;
  readonly bits: ArgumentBits;
}

/** What the kernel calls an architecture, and the spans of its system call numbers. */
interface KernelInterface {
  /** linux/audit.h, AUDIT_ARCH_* */
  readonly audit: number;
  readonly spans: readonly Span[];
}

const kernelInterfaces: Readonly<Record<Architecture, readonly KernelInterface[]>> = {
  x86_64: [
    {
      audit: 0xc000003e,
      spans: [
        { abi: "x86_64", from: 0, bits: 64 },
        { abi: "x32", from: x32Bit, bits: 32 },
      ],
    },
    { audit: 0x40000003, spans: [{ abi: "i386", from: 0, bits: 32 }] },
  ],
  aarch64: [
    { audit: 0xc00000b7, spans: [{ abi: "aarch64", from: 0, bits: 64 }] },
    {
      audit: 0x40000028,
      spans: [
        { abi: "arm", from: 0, bits: 32 },
        // ARM's own calls, far above the common ones. arm/include/uapi/asm/unistd.h, __ARM_NR_BASE
        { abi: "arm", from: 0x0f0000, bits: 32 },
      ],
    },
  ],
};

/** Architectures by the specification's names; null for those that no kernel of gocker's serves. */
const architectureNames: Readonly<Record<string, SyscallAbi | null>> = {
  SCMP_ARCH_X86_64: "x86_64",
  SCMP_ARCH_X86: "i386",
  SCMP_ARCH_X32: "x32",
  SCMP_ARCH_AARCH64: "aarch64",
  SCMP_ARCH_ARM: "arm",
  SCMP_ARCH_MIPS: null,
  SCMP_ARCH_MIPS64: null,
  SCMP_ARCH_MIPS64N32: null,
  SCMP_ARCH_MIPSEL: null,
  SCMP_ARCH_MIPSEL64: null,
  SCMP_ARCH_MIPSEL64N32: null,
  SCMP_ARCH_PPC: null,
  SCMP_ARCH_PPC64: null,
  SCMP_ARCH_PPC64LE: null,
  SCMP_ARCH_S390: null,
  SCMP_ARCH_S390X: null,
  SCMP_ARCH_PARISC: null,
  SCMP_ARCH_PARISC64: null,
  SCMP_ARCH_RISCV64: null,
  SCMP_ARCH_LOONGARCH64: null,
  SCMP_ARCH_M68K: null,
  SCMP_ARCH_SH: null,
  SCMP_ARCH_SHEB: null,
};

/** The listed ABIs; the kernel's own is always among them. */
function listedAbis(names: readonly string[], architecture: Architecture): Set<SyscallAbi> {
  const abis = new Set<SyscallAbi>([architecture]);
  for (const name of names) {
    const abi = Object.hasOwn(architectureNames, name) ? architectureNames[name] : undefined;
    if (abi === undefined) throw new InvalidDocumentError(`unknown seccomp architecture ${JSON.stringify(name)}`);
    if (abi !== null) abis.add(abi);
  }
  return abis;
}

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

function addRanges(ranges: Range[], { abi, from, bits }: Span, end: number, rules: Rules, unlisted: number): void {
  const { decisions, otherwise } = rules;
  const overriding = abi === "i386" ? multiplexedDecisions(rules) : undefined;
  let next = from;
  forEachSyscall(abi, (name, number) => {
    const decision = overriding?.get(name) ?? decisions.get(name);
    if (decision === undefined || number < from || number >= end) return;
    // What lies between two mentioned calls is older than the second of them.
    if (number > next) addRange(ranges, next, otherwise, bits);
    addRange(ranges, number, decision, bits);
    next = number + 1;
  });
  addRange(ranges, next, next === from ? otherwise : unlisted, bits);
}

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
