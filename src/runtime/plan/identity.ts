import {
  PR_CAPBSET_DROP,
  PR_CAP_AMBIENT,
  PR_CAP_AMBIENT_CLEAR_ALL,
  PR_CAP_AMBIENT_RAISE,
  PR_SET_KEEPCAPS,
  PR_SET_NO_NEW_PRIVS,
  PR_SET_PDEATHSIG,
  SIGKILL,
} from "../../linux/constants.ts";
import { capabilityMask, capabilityName, capabilityNumber } from "../../linux/capabilities.ts";
import { signOfLife, statusDescriptor } from "../../linux/launch/plan.ts";
import type { Capabilities, Process } from "../../oci/runtime-spec.ts";
import type { PlanBuilder } from "./builder.ts";
import type { SeccompFilter } from "../seccomp/compile.ts";
import { addSeccomp } from "./security.ts";

const group = "process";

/** What the process may do, as masks of capability bits. */
interface CapabilityMasks {
  readonly bounding: bigint;
  readonly effective: bigint;
  readonly permitted: bigint;
  readonly inheritable: bigint;
  readonly ambient: bigint;
}

function capabilityMasks(capabilities: Capabilities | undefined): CapabilityMasks {
  return {
    bounding: capabilityMask(capabilities?.bounding ?? []),
    effective: capabilityMask(capabilities?.effective ?? []),
    permitted: capabilityMask(capabilities?.permitted ?? []),
    inheritable: capabilityMask(capabilities?.inheritable ?? []),
    ambient: capabilityMask(capabilities?.ambient ?? []),
  };
}

/** A `struct __user_cap_header_struct` of version 3 and its two `struct __user_cap_data_struct`. capset(2) */
function addCapset(builder: PlanBuilder, label: string, masks: Omit<CapabilityMasks, "bounding" | "ambient">): void {
  const version3 = 0x2008_0522;
  const half = (mask: bigint, high: boolean) => Number((high ? mask >> 32n : mask) & 0xffff_ffffn);
  const data = new Uint32Array(
    [false, true].flatMap((high) => [
      half(masks.effective, high),
      half(masks.permitted, high),
      half(masks.inheritable, high),
    ]),
  );
  builder.add({
    label,
    group: "security",
    syscall: "capset",
    args: [new Uint8Array(new Uint32Array([version3, 0]).buffer), new Uint8Array(data.buffer)],
  });
}

export interface IdentityInput {
  readonly process: Process;
  readonly seccomp: SeccompFilter | undefined;
  /** The number of the newest capability that the kernel knows. */
  readonly lastCapability: number;
  /** The container is killed when the thread that made it ends. */
  readonly diesWithParent: boolean;
  /** The writing end of a pipe that nobody but that thread's process reads; the one of the launch's status when absent. */
  readonly lifeline?: number | undefined;
  /** Adds what comes after the change of user and before the filter, which need not permit it. */
  readonly beforeFilter?: (builder: PlanBuilder) => void;
  /** See `deniesSetgroups`: there are no supplementary groups to set then, and none can be given up. */
  readonly setgroupsDenied?: boolean | undefined;
  /** See `addListenerHandover`. */
  readonly release?: number | undefined;
}

/**
 * Gives up what the container's user must not have. The order: the bounding set while CAP_SETPCAP is there; the groups
 * before the user, who could not change them; the filter as late as the rights to set it allow, so that it must permit
 * as little as possible of what comes before the program.
 */
export function addIdentity(builder: PlanBuilder, input: IdentityInput): void {
  const { user, noNewPrivileges } = input.process;
  const masks = capabilityMasks(input.process.capabilities);
  builder.add({ label: "Set the file mode mask", group, syscall: "umask", args: [user.umask ?? 0o022] });
  if (noNewPrivileges === true) {
    builder.add({
      label: "Refuse privileges by setuid programs",
      group: "security",
      syscall: "prctl",
      args: [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0],
    });
  }
  for (let number = 0; number <= input.lastCapability; number++) {
    if ((masks.bounding & (1n << BigInt(number))) !== 0n) continue;
    builder.add({
      label: `Give up ${capabilityName(number) ?? `capability ${number}`} for good`,
      group: "security",
      syscall: "prctl",
      args: [PR_CAPBSET_DROP, number, 0, 0, 0],
    });
  }
  if (input.setgroupsDenied !== true) addGroups(builder, user.additionalGids ?? []);
  const { uid, gid } = user;
  builder.add({ label: `Become group ${gid}`, group, syscall: "setresgid", args: [gid, gid, gid] });
  if (uid !== 0) {
    builder.add({
      label: "Keep capabilities over the change of user",
      group: "security",
      syscall: "prctl",
      args: [PR_SET_KEEPCAPS, 1, 0, 0, 0],
    });
  }
  builder.add({ label: `Become user ${uid}`, group, syscall: "setresuid", args: [uid, uid, uid] });
  if (input.diesWithParent) {
    // After the change of user, which forgets it.
    builder.add({
      label: "Die when gocker dies",
      group,
      syscall: "prctl",
      args: [PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0],
    });
    // The kernel tells nothing of a parent that was dead before it was asked to.
    builder.add({
      label: "Make sure that gocker lives",
      group,
      syscall: "write",
      args: [input.lifeline ?? statusDescriptor, signOfLife, signOfLife.length],
    });
  }
  addFilterAndCapabilities(builder, masks, input);
}

function addGroups(builder: PlanBuilder, gids: readonly number[]): void {
  const shown = gids.length > mostShown ? [...gids.slice(0, mostShown), "…"] : gids;
  builder.about("process.user.additionalGids", () =>
    builder.add({
      label: `Set the supplementary groups (${shown.join(", ") || "none"})`,
      group,
      syscall: "setgroups",
      args: [gids.length, gids.length === 0 ? 0 : new Uint8Array(new Uint32Array(gids).buffer)],
    }),
  );
}

/** Of a list, in a label. */
const mostShown = 32;

function addFilterAndCapabilities(builder: PlanBuilder, masks: CapabilityMasks, input: IdentityInput): void {
  const setFinal = () => {
    addCapset(builder, "Keep only the container's capabilities", masks);
    // gocker may have been given some, which would outlast everything else where they are also inheritable.
    builder.add({
      label: "Clear the ambient capabilities",
      group: "security",
      syscall: "prctl",
      args: [PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0],
    });
    for (let number = 0; number <= input.lastCapability; number++) {
      if ((masks.ambient & (1n << BigInt(number))) === 0n) continue;
      builder.add({
        label: `Raise ambient capability ${capabilityName(number) ?? number}`,
        group: "security",
        syscall: "prctl",
        args: [PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0],
        // One that is not permitted and inheritable too cannot be: runc, whose own specification asks for such, goes on.
        onError: { tolerate: ["EPERM"], report: true },
      });
    }
  };
  if (input.seccomp === undefined || input.process.noNewPrivileges === true) {
    setFinal();
    input.beforeFilter?.(builder);
    if (input.seccomp !== undefined) addSeccomp(builder, input.seccomp, input.release);
    return;
  }
  if (input.process.user.uid !== 0) {
    // Without no_new_privs a filter takes CAP_SYS_ADMIN, which the change of user took out of the effective set.
    const admin = masks.permitted | masks.inheritable | (1n << BigInt(capabilityNumber("CAP_SYS_ADMIN") as number));
    addCapset(builder, "Take back what setting a filter needs", { ...masks, effective: admin, permitted: admin });
  }
  input.beforeFilter?.(builder);
  addSeccomp(builder, input.seccomp, input.release);
  setFinal();
}
