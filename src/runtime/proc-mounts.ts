/** What may be mounted over single files of /proc, as runc has it: facts for programs, which lxcfs and its like give. */
export const replaceableInProc: ReadonlySet<string> = new Set([
  "/proc/cpuinfo",
  "/proc/diskstats",
  "/proc/loadavg",
  "/proc/meminfo",
  "/proc/slabinfo",
  "/proc/stat",
  "/proc/swaps",
  "/proc/sys/crypto/fips_enabled",
  "/proc/sys/kernel/ns_last_pid",
  "/proc/uptime",
]);

/** For an error about any other place there. */
export const hintOfProc = `only these files of /proc can be replaced: ${[...replaceableInProc].join(", ")}`;
