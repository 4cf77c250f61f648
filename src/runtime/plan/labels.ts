import {
  AT_FDCWD,
  O_CLOEXEC,
  O_DIRECTORY,
  O_PATH,
  O_WRONLY,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_XDEV,
} from "../../linux/constants.ts";
import type { Slot, Step } from "../../linux/launch/plan.ts";
import type { LsmSupport } from "../../linux/lsm.ts";
import type { Process } from "../../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import type { PlanBuilder } from "./builder.ts";
import { addKeyring } from "./process.ts";

const group = "security";

/** gocker's own /proc, by descriptor: it stays that when the mount namespace, or what is mounted there, is another. */
export function openHostProc(builder: PlanBuilder): Slot {
  return builder.addFor("proc of the host", {
    label: "Keep the host's /proc",
    group,
    syscall: "openat",
    args: [AT_FDCWD, "/proc", O_PATH | O_DIRECTORY | O_CLOEXEC],
    path: "/proc",
  });
}

/** Whether a process is to have a profile or a label. */
export function hasLabels({ apparmorProfile = "", selinuxLabel = "" }: Labelled): boolean {
  return apparmorProfile !== "" || selinuxLabel !== "";
}

type Labelled = Pick<Process, "apparmorProfile" | "selinuxLabel">;

/**
 * The profile and the label that the process gets when it executes its program: `process.apparmorProfile` and
 * `process.selinuxLabel`. Before it becomes another user. proc_pid_attr(5), apparmor(7)
 * @param input `proc`: a directory that is a procfs for certain, gocker's own or one that the plan itself made, and never
 * whatever is at /proc in the container (CVE-2019-16884, CVE-2025-52881)
 * @throws InvalidDocumentError when the security module is not in force: the container would run unconfined
 */
export function addExecLabel(
  builder: PlanBuilder,
  input: {
    readonly process: Labelled;
    readonly proc: Slot;
    readonly lsm: LsmSupport;
  },
): void {
  const { proc, lsm } = input;
  const { apparmorProfile = "", selinuxLabel = "" } = input.process;
  if (apparmorProfile !== "") {
    requireModule(lsm.apparmor, "process.apparmorProfile", "AppArmor");
    addApparmorProfile(builder, apparmorProfile, proc);
  }
  if (selinuxLabel !== "") {
    requireModule(lsm.selinux, "process.selinuxLabel", "SELinux");
    addAttribute(
      builder,
      { label: `Execute with the SELinux label ${selinuxLabel}`, name: "exec", proc },
      selinuxLabel,
    );
  }
}

/**
 * The SELinux label of keyrings that the process makes from here on; with an empty one, the default again.
 * @param proc as for {@link addExecLabel}
 * @throws InvalidDocumentError when SELinux is not in force
 */
export function addKeyringLabel(builder: PlanBuilder, label: string, proc: Slot, lsm: LsmSupport): void {
  requireModule(lsm.selinux, "process.selinuxLabel", "SELinux");
  const text = label === "" ? "Make keyrings with the default label" : `Make keyrings with the SELinux label ${label}`;
  // An empty line clears it; a write of nothing does not reach the module.
  addAttribute(builder, { label: text, name: "keycreate", proc }, label === "" ? "\n" : label);
}

/** A keyring that has the process's label, where there are labels. */
export function addLabelledKeyring(
  builder: PlanBuilder,
  name: string,
  label: string | undefined,
  labels: { readonly proc: Slot; readonly lsm: LsmSupport } | undefined,
): void {
  const isLabelled = labels !== undefined && label !== undefined && label !== "";
  if (isLabelled) addKeyringLabel(builder, label, labels.proc, labels.lsm);
  addKeyring(builder, name);
  if (isLabelled) addKeyringLabel(builder, "", labels.proc, labels.lsm);
}

function requireModule(isEnabled: boolean, property: string, name: string): void {
  if (isEnabled) return;
  throw new InvalidDocumentError(`${property}: ${name} is not in force on this host`, {
    hint: `leave it out, or enable ${name} in the kernel`,
  });
}

function addApparmorProfile(builder: PlanBuilder, profile: string, proc: Slot): void {
  const label = `Execute with the AppArmor profile ${profile}`;
  // A place of its own since Linux 5.8; before, modules share one.
  const own = openAttribute({ label, name: "apparmor/exec", proc });
  const file = builder.addFor("label", {
    ...own,
    onError: { tolerate: ["ENOENT"] },
    onSuccess: { skip: 1 },
  });
  builder.add({ ...openAttribute({ label, name: "exec", proc }), result: file });
  addWrite(builder, label, file, `exec ${profile}`);
}

interface Attribute {
  readonly label: string;
  /** Below attr/. */
  readonly name: string;
  readonly proc: Slot;
}

function addAttribute(builder: PlanBuilder, attribute: Attribute, value: string): void {
  const file = builder.addFor("label", openAttribute(attribute));
  addWrite(builder, attribute.label, file, value);
}

/**
 * `thread-self` is a link, and an ordinary one. What is mounted over anything on the way, which only somebody who wants to
 * catch the label does, ends the launch. openat2(2)
 */
function openAttribute({ label, name, proc }: Attribute): Omit<Step, "result"> {
  const path = `thread-self/attr/${name}`;
  const resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
  const how = new BigUint64Array([BigInt(O_WRONLY | O_CLOEXEC), 0n, BigInt(resolve)]);
  return {
    label: `${label}: open its place`,
    group,
    syscall: "openat2",
    args: [proc, path, new Uint8Array(how.buffer), how.byteLength],
    path: `/proc/${path}`,
  };
}

function addWrite(builder: PlanBuilder, label: string, file: Slot, value: string): void {
  const bytes = Buffer.from(value);
  builder.add({ label, group, syscall: "write", args: [file, bytes, bytes.length] });
  builder.add({ label: "Close its place", group, syscall: "close", args: [file] });
}
