import type { SeccompArg } from "../oci/runtime-spec.ts";
import type { ProfileFilter, ProfileRule, SeccompProfile } from "./seccomp-profile-rules.ts";

/**
 * What every container may call, where the kernel has it: Docker's list. Left out are calls that reach beyond the
 * container (modules, clocks, swap, kexec), that are obsolete, or that need a capability: see {@link defaultProfile}.
 */
const allowed = [
  "_llseek _newselect accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod chown chown32",
  "clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep",
  "clock_nanosleep_time64 close close_range connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1",
  "epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit",
  "exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2",
  "fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat",
  "fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait",
  "futex_waitv futex_wake futimesat get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid",
  "getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid",
  "getppid getpriority getrandom getresgid getresgid32 getresuid getresuid32 getrlimit getrusage getsid getsockname",
  "getsockopt gettid gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch inotify_init inotify_init1",
  "inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit ioctl",
  "ioprio_get ioprio_set ipc kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32",
  "lgetxattr link linkat listen listmount listxattr listxattrat llistxattr lremovexattr lseek lsetxattr lstat lstat64",
  "madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2",
  "mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend",
  "mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall munmap",
  "name_to_handle_at nanosleep newfstatat open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2",
  "pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_mrelease",
  "pselect6 pselect6_time64 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv recv recvfrom recvmmsg",
  "recvmmsg_time64 recvmsg remap_file_pages removexattr removexattrat rename renameat renameat2 restart_syscall rmdir",
  "rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait",
  "rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity",
  "sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64",
  "sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop",
  "semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto set_robust_list set_thread_area",
  "set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setitimer setpgid",
  "setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid",
  "setsockopt setuid setuid32 setxattr setxattrat shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4",
  "sigprocmask sigreturn socketcall socketpair splice stat stat64 statfs statfs64 statmount statx symlink symlinkat",
  "sync sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime",
  "timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime",
  "timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask uname unlink unlinkat uretprobe utime utimensat",
  "utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write writev",
];

/** Calls that a capability opens, as it opens what they do. */
const allowedWith: Readonly<Record<string, string>> = {
  CAP_DAC_READ_SEARCH: "open_by_handle_at",
  CAP_SYS_ADMIN:
    "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules " +
    "lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname " +
    "sethostname setns syslog umount umount2 unshare",
  CAP_SYS_BOOT: "reboot",
  CAP_SYS_CHROOT: "chroot",
  CAP_SYS_MODULE: "delete_module finit_module init_module",
  CAP_SYS_PACCT: "acct",
  CAP_SYS_PTRACE: "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
  CAP_SYS_RAWIO: "ioperm iopl",
  CAP_SYS_TIME: "clock_settime clock_settime64 settimeofday stime",
  CAP_SYS_TTY_CONFIG: "vhangup",
  CAP_SYS_NICE: "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
  CAP_SYSLOG: "syslog",
  CAP_BPF: "bpf",
  CAP_PERFMON: "perf_event_open",
};

/**
 * The socket families that may be used: all that Linux has but AF_ALG (38), whose bugs have led to root, and AF_VSOCK
 * (40), which leads to the hypervisor. They are named one by one instead of "above 40", as Docker has it: the kernel
 * takes the family from the lower half of the argument, so that 2^32 + 38 would be above 40 and still AF_ALG.
 */
const socketFamilies: readonly SeccompArg[] = [
  { index: 0, op: "SCMP_CMP_LT", value: 38 },
  ...[39, 41, 42, 43, 44, 45].map((family): SeccompArg => ({ index: 0, op: "SCMP_CMP_EQ", value: family })),
];

/** PER_LINUX, PER_LINUX32, each also with UNAME26, and the question which it is. personality(2) */
const personalities: readonly SeccompArg[] = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff].map((value) => ({
  index: 0,
  op: "SCMP_CMP_EQ",
  value,
}));

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET. linux/sched.h */
const namespaceFlags = 0x7e020000;

/** Docker's default profile. */
export function defaultProfile(): SeccompProfile {
  const withoutAdmin: ProfileFilter = { caps: ["CAP_SYS_ADMIN"] };
  return {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: 1,
    archMap: [
      { architecture: "SCMP_ARCH_X86_64", subArchitectures: ["SCMP_ARCH_X86", "SCMP_ARCH_X32"] },
      { architecture: "SCMP_ARCH_AARCH64", subArchitectures: ["SCMP_ARCH_ARM"] },
    ],
    syscalls: [
      allow(allowed.join(" ")),
      // Before 4.8 ptrace could get around seccomp.
      allow("process_vm_readv process_vm_writev ptrace", { includes: { minKernel: { major: 4, minor: 8 } } }),
      ...socketFamilies.map((arg) => allow("socket", { args: [arg] })),
      ...personalities.map((arg) => allow("personality", { args: [arg] })),
      allow("arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls", {
        includes: { arches: ["arm", "arm64"] },
      }),
      allow("arch_prctl", { includes: { arches: ["amd64", "x32"] } }),
      allow("modify_ldt", { includes: { arches: ["amd64", "x32", "x86"] } }),
      ...Object.entries(allowedWith).map(([capability, names]) => allow(names, { includes: { caps: [capability] } })),
      allow("clone", {
        args: [{ index: 0, op: "SCMP_CMP_MASKED_EQ", value: namespaceFlags, valueTwo: 0 }],
        excludes: withoutAdmin,
      }),
      // Its flags lie in memory, out of a filter's sight. C libraries fall back to clone when it does not exist.
      { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: 38, excludes: withoutAdmin },
    ],
  };
}

function allow(names: string, more: Omit<ProfileRule, "names" | "action"> = {}): ProfileRule {
  return { names: names.split(" "), action: "SCMP_ACT_ALLOW", ...more };
}
