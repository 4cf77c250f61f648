"""Compiles an OCI seccomp configuration (JSON on stdin) with libseccomp, as runc and crun hand it over. Writes JSON: the
BPF program in base64, and the calls ("x32 read") whose numbers this libseccomp does not know. Needs Debian's python3-seccomp."""

import base64
import errno
import json
import sys
import tempfile

import seccomp

OPERATORS = {
    "SCMP_CMP_NE": seccomp.NE,
    "SCMP_CMP_LT": seccomp.LT,
    "SCMP_CMP_LE": seccomp.LE,
    "SCMP_CMP_EQ": seccomp.EQ,
    "SCMP_CMP_GE": seccomp.GE,
    "SCMP_CMP_GT": seccomp.GT,
    "SCMP_CMP_MASKED_EQ": seccomp.MASKED_EQ,
}
ARCHITECTURES = {"SCMP_ARCH_X86": seccomp.Arch.X86, "SCMP_ARCH_X32": seccomp.Arch.X32}
ABIS = {"x86_64": seccomp.Arch.X86_64, "x32": seccomp.Arch.X32, "i386": seccomp.Arch.X86}


def action(name, data):
    if name == "SCMP_ACT_ERRNO":
        return seccomp.ERRNO(errno.EPERM if data is None else data)
    return {"SCMP_ACT_ALLOW": seccomp.ALLOW, "SCMP_ACT_LOG": seccomp.LOG, "SCMP_ACT_TRAP": seccomp.TRAP}[name]


def condition(arg):
    value, operator = arg["value"], OPERATORS[arg["op"]]
    if operator == seccomp.MASKED_EQ:
        return seccomp.Arg(arg["index"], operator, value, arg.get("valueTwo", 0))
    return seccomp.Arg(arg["index"], operator, value)


profile = json.load(sys.stdin)
default = action(profile["defaultAction"], profile.get("defaultErrnoRet"))
program = seccomp.SyscallFilter(defaction=default)
for architecture in profile["architectures"]:
    if architecture in ARCHITECTURES:
        program.add_arch(ARCHITECTURES[architecture])
unknown = set()
for rule in profile["syscalls"]:
    chosen = action(rule["action"], rule.get("errnoRet"))
    for name in rule["names"]:
        unknown.update(f"{abi} {name}" for abi, arch in ABIS.items() if seccomp.resolve_syscall(arch, name) < 0)
        if seccomp.resolve_syscall(seccomp.Arch(), name) != -1 and chosen != default:
            program.add_rule(chosen, name, *[condition(arg) for arg in rule.get("args", [])])
with tempfile.TemporaryFile() as file:
    program.export_bpf(file)
    file.seek(0)
    json.dump({"program": base64.b64encode(file.read()).decode(), "unknown": sorted(unknown)}, sys.stdout)
