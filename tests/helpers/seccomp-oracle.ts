import type { Architecture } from "../../src/linux/arch.ts";
import { type SyscallAbi, syscallTable } from "../../src/linux/syscalls.ts";
import type { Seccomp, SeccompArg, SeccompSyscall } from "../../src/oci/runtime-spec.ts";
import { auditArchitectures, type SyscallData } from "./bpf.ts";

const values: Readonly<Record<string, number>> = {
  SCMP_ACT_KILL: 0,
  SCMP_ACT_KILL_THREAD: 0,
  SCMP_ACT_KILL_PROCESS: 0x80000000,
  SCMP_ACT_TRAP: 0x30000,
  SCMP_ACT_ERRNO: 0x50000,
  SCMP_ACT_NOTIFY: 0x7fc00000,
  SCMP_ACT_TRACE: 0x7ff00000,
  SCMP_ACT_LOG: 0x7ffc0000,
  SCMP_ACT_ALLOW: 0x7fff0000,
};

const killProcess = 0x80000000;
const enosys = 0x50026;

const names = new Map<SyscallAbi, Map<number, string>>();

function nameOf(abi: SyscallAbi, number: number): string | undefined {
  let table = names.get(abi);
  if (table === undefined) {
    table = new Map([...syscallTable(abi)].map(([name, known]) => [known, name]));
    names.set(abi, table);
  }
  return table.get(number);
}

/**
 * What a configuration means for a call, decided the plain way: rule after rule, without any of the compiler's
 * shortcuts. `socketcall` and `ipc` of i386 are left to tests of their own.
 */
export function expectedActions(seccomp: Seccomp, host: Architecture): (call: SyscallData) => number {
  const otherwise = valueOf(seccomp.defaultAction, seccomp.defaultErrnoRet);
  const refuses = !["SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_TRACE"].includes(seccomp.defaultAction);
  const abis = listed(seccomp, host);
  const rulesOf = new Map<string, SeccompSyscall[]>();
  for (const rule of seccomp.syscalls ?? []) {
    for (const name of rule.names) rulesOf.set(name, [...(rulesOf.get(name) ?? []), rule]);
  }
  const newest = new Map<string, number>();
  for (const abi of abis) {
    for (const name of rulesOf.keys()) {
      const number = syscallTable(abi).get(name) ?? -1;
      const span = spanOf(abi, number);
      newest.set(span, Math.max(newest.get(span) ?? -1, number));
    }
  }

  return (call) => {
    const abi = abiOf(host, call);
    if (abi === undefined) return killProcess;
    if (!abis.has(abi)) return abi === "x32" && call.number === 0xffffffff ? otherwise : killProcess;
    const last = newest.get(spanOf(abi, call.number)) ?? -1;
    if (refuses && last >= 0 && call.number > last) return enosys;

    const name = nameOf(abi, call.number);
    const own = (rulesOf.get(name ?? "") ?? []).filter((rule) => actionOf(rule) !== otherwise);
    const plain = own.find((rule) => (rule.args ?? []).length === 0);
    if (plain !== undefined) return actionOf(plain);
    const fitting = own.find((rule) => fits(rule.args ?? [], call.args ?? [], abi));
    return fitting === undefined ? otherwise : actionOf(fitting);
  };
}

/** ARM has calls of its own far above the common ones; what is newer is counted for both. */
function spanOf(abi: SyscallAbi, number: number): string {
  return abi === "arm" && number >= 0xf0000 ? "arm's own" : abi;
}

function actionOf(rule: SeccompSyscall): number {
  return valueOf(rule.action, rule.errnoRet);
}

function valueOf(action: string, data: number | undefined): number {
  const takesData = action === "SCMP_ACT_ERRNO" || action === "SCMP_ACT_TRACE";
  return (values[action] as number) + (takesData ? (data ?? 1) : 0);
}

function abiOf(host: Architecture, { architecture, number }: SyscallData): SyscallAbi | undefined {
  if (host === "x86_64" && architecture === auditArchitectures.x86_64) return number >= 0x40000000 ? "x32" : "x86_64";
  if (host === "x86_64" && architecture === auditArchitectures.i386) return "i386";
  if (host === "aarch64" && architecture === auditArchitectures.aarch64) return "aarch64";
  if (host === "aarch64" && architecture === auditArchitectures.arm) return "arm";
  return undefined;
}

function listed(seccomp: Seccomp, host: Architecture): Set<SyscallAbi> {
  const known: Record<string, SyscallAbi> = {
    SCMP_ARCH_X86_64: "x86_64",
    SCMP_ARCH_X86: "i386",
    SCMP_ARCH_X32: "x32",
    SCMP_ARCH_AARCH64: "aarch64",
    SCMP_ARCH_ARM: "arm",
  };
  return new Set([host, ...(seccomp.architectures ?? []).map((name) => known[name] as SyscallAbi)]);
}

function fits(conditions: readonly SeccompArg[], args: readonly bigint[], abi: SyscallAbi): boolean {
  const bits = abi === "x86_64" || abi === "aarch64" ? 64 : 32;
  const holds = ({ index, op, value, valueTwo }: SeccompArg): boolean => {
    const argument = BigInt.asUintN(bits, args[index] ?? 0n);
    const first = BigInt.asUintN(bits, BigInt(value));
    const second = BigInt.asUintN(bits, BigInt(valueTwo ?? 0));
    if (op === "SCMP_CMP_EQ") return argument === first;
    if (op === "SCMP_CMP_NE") return argument !== first;
    if (op === "SCMP_CMP_LT") return argument < first;
    if (op === "SCMP_CMP_LE") return argument <= first;
    if (op === "SCMP_CMP_GT") return argument > first;
    if (op === "SCMP_CMP_GE") return argument >= first;
    return (argument & first) === (second & first);
  };
  const sameTwice = new Set(conditions.map(({ index }) => index)).size < conditions.length;
  return sameTwice ? conditions.some(holds) : conditions.every(holds);
}
