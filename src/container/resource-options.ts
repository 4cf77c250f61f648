/**
 * What of a machine a container may use: docker's flags of `run` and `update`, read. Sizes are in bytes, times in
 * microseconds; what is absent is not asked for.
 */
export interface ResourceOptions {
  memory?: number;
  /** Memory and swap together; -1 for no limit. Twice the memory when absent. */
  memorySwap?: number;
  memoryReservation?: number;
  /** 0 to 100. */
  memorySwappiness?: number;
  oomKillDisable?: true;
  /** How many processors' time: 1.5 is one and a half of one's. In place of a period and quota. */
  cpus?: number;
  cpuPeriod?: number;
  /** -1 for no limit. */
  cpuQuota?: number;
  cpuShares?: number;
  cpuRtPeriod?: number;
  cpuRtRuntime?: number;
  /** Lists such as `0-3,7`. */
  cpusetCpus?: string;
  cpusetMems?: string;
  /** Processes and threads; -1 for no limit. */
  pidsLimit?: number;
  /** 10 to 1000. */
  blkioWeight?: number;
  blkioWeightDevice?: DeviceLimit[];
  /** Bytes, or operations, each second; 0 for no limit. */
  deviceReadBps?: DeviceLimit[];
  deviceWriteBps?: DeviceLimit[];
  deviceReadIops?: DeviceLimit[];
  deviceWriteIops?: DeviceLimit[];
}

/** A limit for one block device. */
export interface DeviceLimit {
  /** Of the host: `/dev/sda`. */
  path: string;
  value: number;
}

/** The flags that give a limit for one device each, by their names in {@link ResourceOptions}. */
export const deviceFlags = {
  blkioWeightDevice: "--blkio-weight-device",
  deviceReadBps: "--device-read-bps",
  deviceWriteBps: "--device-write-bps",
  deviceReadIops: "--device-read-iops",
  deviceWriteIops: "--device-write-iops",
} as const;
