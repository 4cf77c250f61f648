import { Assembler, register } from "../../../linux/bpf.ts";
import { deviceAccess, type DeviceRule, type DeviceRules } from "./rules.ts";

/** struct bpf_cgroup_dev_ctx of linux/bpf.h: the access above the type in one word, then the device's numbers. */
const context = { accessAndType: 0, major: 4, minor: 8 } as const;
/** BPF_DEVCG_DEV_BLOCK and BPF_DEVCG_DEV_CHAR */
const deviceType = { b: 1, c: 2 } as const;

const verdict = register(0);
const argument = register(1);
const type = register(2);
/** The accesses asked for that no rule has allowed yet. */
const wanted = register(3);
const major = register(4);
const minor = register(5);

/** Whether these rules let everything pass, so that no program is needed. */
export function allowsEverything({ allowByDefault, rules }: DeviceRules): boolean {
  return allowByDefault && rules.every((rule) => rule.allow);
}

/**
 * The rules as a program of type BPF_PROG_TYPE_CGROUP_DEVICE, which answers 1 (allowed) or 0. It goes through them
 * from the last to the first; a rule that allows takes its accesses off those still wanted, one that denies any of
 * them ends it, so that the last rule which fits decides for each access.
 */
export function deviceProgram({ allowByDefault, rules }: DeviceRules): Uint8Array {
  const program = new Assembler();
  program.loadWord(type, argument, context.accessAndType);
  program.copy(wanted, type);
  program.shiftRight(wanted, 16);
  program.and(type, 0xffff);
  program.loadWord(major, argument, context.major);
  program.loadWord(minor, argument, context.minor);
  for (const rule of rules.toReversed()) appendRule(program, rule);
  answer(program, allowByDefault);
  return program.assemble();
}

function appendRule(program: Assembler, rule: DeviceRule): void {
  const next = program.label();
  program.jumpUnlessEqual(type, deviceType[rule.type], next);
  if (rule.major !== undefined) program.jumpUnlessEqual(major, rule.major, next);
  if (rule.minor !== undefined) program.jumpUnlessEqual(minor, rule.minor, next);
  if (rule.access !== deviceAccess.all) {
    if (rule.allow) {
      program.and(wanted, deviceAccess.all & ~rule.access);
      program.jumpUnlessEqual(wanted, 0, next);
    } else {
      const denied = program.label();
      program.jumpIfAnyBit(wanted, rule.access, denied);
      program.jump(next);
      program.place(denied);
    }
  }
  answer(program, rule.allow);
  program.place(next);
}

function answer(program: Assembler, allow: boolean): void {
  program.set(verdict, allow ? 1 : 0);
  program.exit();
}
