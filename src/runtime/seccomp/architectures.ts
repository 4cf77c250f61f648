import type { Architecture } from "../../linux/arch.ts";
import { type SyscallAbi, x32Bit } from "../../linux/syscalls.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import type { ArgumentBits } from "./conditions.ts";

/** The numbers from `from` up to the next span of the same interface; above the newest one the future lies. */
export interface Span {
  readonly abi: SyscallAbi;
  readonly from: number;
  readonly bits: ArgumentBits;
}

/** What the kernel calls an architecture, and the spans of its system call numbers. */
export interface KernelInterface {
  /** linux/audit.h, AUDIT_ARCH_* */
  readonly audit: number;
  readonly spans: readonly Span[];
}

/** The interfaces of the kernel of each architecture, its own first. */
export const kernelInterfaces: Readonly<Record<Architecture, readonly KernelInterface[]>> = {
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
export const architectureNames: Readonly<Record<string, SyscallAbi | null>> = {
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

/** The listed ABIs; the kernel's own is always among them. Throws InvalidDocumentError for an unknown name. */
export function listedAbis(names: readonly string[], architecture: Architecture): Set<SyscallAbi> {
  const abis = new Set<SyscallAbi>([architecture]);
  for (const [index, name] of names.entries()) {
    const abi = Object.hasOwn(architectureNames, name) ? architectureNames[name] : undefined;
    if (abi === undefined) {
      const property = `linux.seccomp.architectures[${index}]`;
      throw new InvalidDocumentError(`${property}: unknown seccomp architecture ${JSON.stringify(name)}`);
    }
    if (abi !== null) abis.add(abi);
  }
  return abis;
}
