import * as constants from "../../linux/constants.ts";

/** Bits with names, or values with names. */
export type Names = readonly (readonly [value: number | bigint, name: string])[];

const numbers: Readonly<Record<keyof typeof constants, number | bigint>> = constants;

/** Makes a table of constants that gocker's plans use, by their names in the kernel's headers. */
function named(...names: (keyof typeof constants)[]): Names {
  return names.map((name) => [numbers[name], name]);
}

export const cloneFlags: Names = named(
  "CLONE_NEWNS",
  "CLONE_NEWPID",
  "CLONE_NEWUTS",
  "CLONE_NEWIPC",
  "CLONE_NEWNET",
  "CLONE_NEWCGROUP",
  "CLONE_NEWUSER",
  "CLONE_NEWTIME",
  "CLONE_VM",
  "CLONE_VFORK",
  "CLONE_PARENT",
  "CLONE_PIDFD",
  "CLONE_CLEAR_SIGHAND",
  "CLONE_INTO_CGROUP",
);

/** open(2): the two lowest bits are a value of their own. */
export const accessModes: Names = named("O_RDONLY", "O_WRONLY", "O_RDWR");
export const openFlags: Names = named(
  "O_PATH",
  "O_CREAT",
  "O_EXCL",
  "O_NOCTTY",
  "O_TRUNC",
  "O_NONBLOCK",
  "O_DIRECTORY",
  "O_NOFOLLOW",
  "O_CLOEXEC",
);
export const atFlags: Names = named("AT_EMPTY_PATH", "AT_SYMLINK_NOFOLLOW", "AT_RECURSIVE");
export const resolveFlags: Names = [
  ...named("RESOLVE_IN_ROOT", "RESOLVE_NO_MAGICLINKS", "RESOLVE_NO_SYMLINKS", "RESOLVE_NO_XDEV"),
  [0x8, "RESOLVE_BENEATH"],
];

export const mountFlags: Names = [
  ...named("MS_RDONLY", "MS_NOSUID", "MS_NODEV", "MS_NOEXEC"),
  [0x20, "MS_REMOUNT"],
  [0x400, "MS_NOATIME"],
  [0x1000, "MS_BIND"],
  [0x2000, "MS_MOVE"],
  ...named("MS_REC", "MS_UNBINDABLE", "MS_PRIVATE", "MS_SLAVE", "MS_SHARED"),
  [0x20_0000, "MS_RELATIME"],
  [0x100_0000, "MS_STRICTATIME"],
];
export const unmountFlags: Names = [
  ...named("MNT_DETACH"),
  [1, "MNT_FORCE"],
  [4, "MNT_EXPIRE"],
  [8, "UMOUNT_NOFOLLOW"],
];
export const mountAttributes: Names = named(
  "MOUNT_ATTR_RDONLY",
  "MOUNT_ATTR_NOSUID",
  "MOUNT_ATTR_NODEV",
  "MOUNT_ATTR_NOEXEC",
  "MOUNT_ATTR_NOATIME",
  "MOUNT_ATTR_STRICTATIME",
  "MOUNT_ATTR_NODIRATIME",
  "MOUNT_ATTR_NOSYMFOLLOW",
  "MOUNT_ATTR_IDMAP",
);
/** What `struct mount_attr` has as propagation. mount_setattr(2) */
export const propagations: Names = named("MS_PRIVATE", "MS_SLAVE", "MS_SHARED", "MS_UNBINDABLE");
export const moveMountFlags: Names = named("MOVE_MOUNT_F_EMPTY_PATH", "MOVE_MOUNT_T_EMPTY_PATH");
export const openTreeFlags: Names = [...named("OPEN_TREE_CLONE", "OPEN_TREE_CLOEXEC"), ...atFlags];
export const statxFields: Names = named("STATX_MODE");
export const fsopenFlags: Names = named("FSOPEN_CLOEXEC");
export const fspickFlags: Names = named("FSPICK_CLOEXEC", "FSPICK_EMPTY_PATH");
export const fsmountFlags: Names = named("FSMOUNT_CLOEXEC");
export const fsconfigCommands: Names = [
  ...named("FSCONFIG_SET_FLAG", "FSCONFIG_SET_STRING"),
  [2, "FSCONFIG_SET_BINARY"],
  [3, "FSCONFIG_SET_PATH"],
  [4, "FSCONFIG_SET_PATH_EMPTY"],
  [5, "FSCONFIG_SET_FD"],
  ...named("FSCONFIG_CMD_CREATE", "FSCONFIG_CMD_RECONFIGURE"),
];

export const fileTypes: Names = named("S_IFREG", "S_IFDIR", "S_IFLNK", "S_IFCHR", "S_IFBLK", "S_IFIFO");

export const prctlOptions: Names = named(
  "PR_SET_PDEATHSIG",
  "PR_SET_DUMPABLE",
  "PR_SET_KEEPCAPS",
  "PR_CAPBSET_DROP",
  "PR_SET_NO_NEW_PRIVS",
  "PR_CAP_AMBIENT",
);
export const ambientOperations: Names = [
  ...named("PR_CAP_AMBIENT_RAISE", "PR_CAP_AMBIENT_CLEAR_ALL"),
  [1, "PR_CAP_AMBIENT_IS_SET"],
  [3, "PR_CAP_AMBIENT_LOWER"],
];

export const ioctlRequests: Names = named(
  "TCGETS",
  "TIOCSCTTY",
  "TIOCSPGRP",
  "TIOCGWINSZ",
  "TIOCSWINSZ",
  "TIOCSPTLCK",
  "TIOCGPTPEER",
);
export const closeRangeFlags: Names = [...named("CLOSE_RANGE_CLOEXEC"), [2, "CLOSE_RANGE_UNSHARE"]];
export const fcntlCommands: Names = named("F_SETFD", "F_DUPFD_CLOEXEC", "F_ADD_SEALS");
export const seccompOperations: Names = named("SECCOMP_SET_MODE_FILTER");
export const seccompFlags: Names = [
  [1, "SECCOMP_FILTER_FLAG_TSYNC"],
  [2, "SECCOMP_FILTER_FLAG_LOG"],
  [4, "SECCOMP_FILTER_FLAG_SPEC_ALLOW"],
  [8, "SECCOMP_FILTER_FLAG_NEW_LISTENER"],
  [16, "SECCOMP_FILTER_FLAG_TSYNC_ESRCH"],
  [32, "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
];
export const keyctlOperations: Names = named("KEYCTL_JOIN_SESSION_KEYRING");
export const signalMaskOperations: Names = [
  [0, "SIG_BLOCK"],
  [1, "SIG_UNBLOCK"],
  [2, "SIG_SETMASK"],
];
/** getrlimit(2): the numbers of x86-64 and arm64. */
export const resources: Names =
  "CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME"
    .split(" ")
    .map((name, number) => [number, `RLIMIT_${name}`]);
