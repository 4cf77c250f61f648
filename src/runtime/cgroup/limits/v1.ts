import { throttleFiles } from "./block-io.ts";
import type { CpuLimits, Limits, MemoryLimits } from "./limits.ts";
import { type Setting, SettingList } from "./setting.ts";

/**
 * Limits as writes to files of version 1, in an order that the kernel accepts. What only version 2 has (`unified`) is
 * left out.
 * @param has whether a controller is one of version 1 on this host; those that are not give no settings
 */
export function v1Settings(limits: Limits, has: (controller: string) => boolean = () => true): Setting[] {
  const list = new SettingList();
  if (has("pids")) list.add("pids.limit", "pids", "pids.max", limits.pids);
  if (has("memory")) memory(list, limits.memory);
  if (has("cpu")) cpu(list, limits.cpu);
  if (has("cpuset")) {
    list.add("cpu.cpus", "cpuset", "cpuset.cpus", limits.cpu.cpus);
    list.add("cpu.mems", "cpuset", "cpuset.mems", limits.cpu.mems);
  }
  if (has("blkio")) blockIo(list, limits);
  if (has("hugetlb")) {
    for (const { path, pageSize, limit } of limits.hugePages) {
      const property = path.slice("linux.resources.".length);
      list.add(property, "hugetlb", `hugetlb.${pageSize}.limit_in_bytes`, limit);
      // What is reserved counts since Linux 5.7.
      list.add(property, "hugetlb", `hugetlb.${pageSize}.rsvd.limit_in_bytes`, limit, { ifPresent: true });
    }
  }
  if (has("rdma")) rdmaSettings(list, limits);
  if (has("net_cls")) list.add("network.classID", "net_cls", "net_cls.classid", limits.network.classId);
  if (has("net_prio")) {
    for (const { path, name, priority } of limits.network.priorities) {
      list.add(path.slice("linux.resources.".length), "net_prio", "net_prio.ifpriomap", `${name} ${priority}`, {
        line: { key: name, absent: "0" },
      });
    }
  }
  return list.settings;
}

/** admin-guide/cgroup-v1/memory.rst */
function memory(list: SettingList, limits: MemoryLimits): void {
  const together = "memory.memsw.limit_in_bytes";
  // Without a limit of memory there is none of both together either: the latter must never be less.
  const swap = limits.swap ?? (limits.limit === -1 ? -1 : undefined);
  if (limits.useHierarchy !== undefined) {
    list.add("memory.useHierarchy", "memory", "memory.use_hierarchy", limits.useHierarchy ? 1 : 0);
  }
  list.add("memory.limit", "memory", "memory.limit_in_bytes", limits.limit, {
    ...(swap !== undefined && { retryAfter: together }),
  });
  list.add("memory.swap", "memory", together, swap, { ...(swap === -1 && { ifPresent: true }) });
  list.add("memory.reservation", "memory", "memory.soft_limit_in_bytes", limits.reservation);
  list.add("memory.kernelTCP", "memory", "memory.kmem.tcp.limit_in_bytes", limits.kernelTcp);
  list.add("memory.swappiness", "memory", "memory.swappiness", limits.swappiness);
  if (limits.disableOomKiller !== undefined) {
    const value = limits.disableOomKiller ? 1 : 0;
    // Docker writes `false` wherever it is not asked for anything.
    list.add("memory.disableOOMKiller", "memory", "memory.oom_control", value, {
      ...(value === 0 && { ifPresent: true }),
    });
  }
}

/** scheduler/sched-bwc.rst, scheduler/sched-rt-group.rst */
function cpu(list: SettingList, limits: CpuLimits): void {
  const afterQuota = limits.quota === undefined ? {} : { retryAfter: "cpu.cfs_quota_us" };
  list.add("cpu.realtimePeriod", "cpu", "cpu.rt_period_us", limits.realtimePeriod, {
    ...(limits.realtimeRuntime !== undefined && { retryAfter: "cpu.rt_runtime_us" }),
  });
  list.add("cpu.realtimeRuntime", "cpu", "cpu.rt_runtime_us", limits.realtimeRuntime);
  list.add("cpu.shares", "cpu", "cpu.shares", limits.shares === Number.POSITIVE_INFINITY ? 262144 : limits.shares, {
    ...(limits.idle !== undefined && { retryAfter: "cpu.idle" }),
  });
  list.add("cpu.idle", "cpu", "cpu.idle", limits.idle);
  list.add("cpu.period", "cpu", "cpu.cfs_period_us", limits.period, afterQuota);
  list.add("cpu.burst", "cpu", "cpu.cfs_burst_us", limits.burst, {
    ...afterQuota,
    ...(limits.burst === 0 && { ifPresent: true }),
  });
  list.add("cpu.quota", "cpu", "cpu.cfs_quota_us", limits.quota);
}

/** admin-guide/cgroup-v1/blkio-controller.rst; the scheduler BFQ has its own names (block/bfq-iosched.rst). */
function blockIo(list: SettingList, { blockIo: { weight, leafWeight, devices, throttles } }: Limits): void {
  const add = (path: string, file: string, device: string, value: number | undefined, other?: string): void => {
    if (value === undefined) return;
    const text = `${device} ${value}`;
    list.add(path.slice("linux.resources.".length), "blkio", file, text, {
      ...(other !== undefined && { alternative: { file: other, value: text } }),
      line: { key: device, absent: "0" },
    });
  };
  list.add("blockIO.weight", "blkio", "blkio.weight", weight, {
    ...(weight !== undefined && { alternative: { file: "blkio.bfq.weight", value: String(weight) } }),
  });
  list.add("blockIO.leafWeight", "blkio", "blkio.leaf_weight", leafWeight);
  for (const { path, device, ...own } of devices) {
    add(`${path}.weight`, "blkio.weight_device", device, own.weight, "blkio.bfq.weight_device");
    add(`${path}.leafWeight`, "blkio.leaf_weight_device", device, own.leafWeight);
  }
  for (const { path, device, kind, rate } of throttles) add(path, throttleFiles[kind].v1, device, rate);
}

/** The file and its form are the same in both versions. admin-guide/cgroup-v2.rst, "RDMA" */
export function rdmaSettings(list: SettingList, { rdma }: Limits): void {
  for (const { path, device, handles, objects } of rdma) {
    const words = [device];
    if (handles !== undefined) words.push(`hca_handle=${handles}`);
    if (objects !== undefined) words.push(`hca_object=${objects}`);
    if (words.length === 1) continue;
    list.add(path.slice("linux.resources.".length), "rdma", "rdma.max", words.join(" "), {
      line: { key: device, absent: "hca_handle=max hca_object=max" },
    });
  }
}
