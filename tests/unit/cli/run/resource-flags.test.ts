import { describe, expect, test } from "bun:test";
import {
  changeableFlags,
  parseChangedResources,
  parseResourceFlags,
  resourceFlags,
} from "../../../../src/cli/commands/run/resource-flags.ts";
import { parseFlags } from "../../../../src/cli/flags.ts";
import type { ResourceOptions } from "../../../../src/container/resource-options.ts";
import { UsageError } from "../../../../src/util/errors.ts";

const words = (line: string) => line.split(" ").filter((word) => word !== "");
const asked = (line: string) =>
  parseResourceFlags(parseFlags(words(line), resourceFlags, { command: "run", stopAtOperand: true }).flags);
const changed = (line: string) =>
  parseChangedResources(parseFlags(words(line), changeableFlags, { command: "update", stopAtOperand: true }).flags);

const mebibyte = 2 ** 20;

test("nothing given is nothing asked for", () => {
  expect(asked("")).toEqual({});
  expect(changed("")).toBeUndefined();
});

const understood: [line: string, expected: ResourceOptions | undefined][] = [
  ["-m 64m", { memory: 64 * mebibyte }],
  ["--memory 1.5G --memory-swap 3gb", { memory: 1536 * mebibyte, memorySwap: 3072 * mebibyte }],
  ["-m64MiB --memory-swap=-1", { memory: 64 * mebibyte, memorySwap: -1 }],
  ["-m 10m --memory-swap 10m", { memory: 10 * mebibyte, memorySwap: 10 * mebibyte }],
  ["-m 8m --memory-reservation 8m", { memory: 8 * mebibyte, memoryReservation: 8 * mebibyte }],
  ["-m 6m", { memory: 6 * mebibyte }],
  ["-m 0 --memory-swap 0 --memory-reservation 0", undefined],
  ["--memory-swap -1", { memorySwap: -1 }],
  ["--cpus 1.5", { cpus: 1.5 }],
  ["--cpus .5", { cpus: 0.5 }],
  ["--cpus +2.", { cpus: 2 }],
  ["--cpus 0.000000001", { cpus: 1e-9 }],
  ["--cpus 0 --cpu-quota 0 --cpu-period 0 -c 0 --blkio-weight 0", undefined],
  ["--cpu-period 50000 --cpu-quota 25000", { cpuPeriod: 50000, cpuQuota: 25000 }],
  ["--cpu-quota -1", { cpuQuota: -1 }],
  ["-c 512", { cpuShares: 512 }],
  ["--cpu-shares 0x10", { cpuShares: 16 }],
  ["-c 010", { cpuShares: 8 }],
  ["-c +0o20", { cpuShares: 16 }],
  ["--cpu-rt-period 1000000 --cpu-rt-runtime 950000", { cpuRtPeriod: 1_000_000, cpuRtRuntime: 950_000 }],
  ["--cpuset-cpus 0-3,7 --cpuset-mems 0", { cpusetCpus: "0-3,7", cpusetMems: "0" }],
  ["--cpuset-cpus= --cpuset-mems=", undefined],
  ["--pids-limit 100", { pidsLimit: 100 }],
  ["--pids-limit 0", { pidsLimit: -1 }],
  ["--pids-limit -1", { pidsLimit: -1 }],
  ["--pids-limit -7", { pidsLimit: -1 }],
  ["--blkio-weight 300", { blkioWeight: 300 }],
];

test.each(understood)("%s", (line, expected) => {
  expect(asked(line).resources).toEqual(expected as ResourceOptions);
  expect(changed(line)).toEqual(expected as ResourceOptions);
});

const ofRunAlone: [line: string, expected: ReturnType<typeof asked>][] = [
  ["--memory-swappiness 0", { resources: { memorySwappiness: 0 } }],
  ["--memory-swappiness -1", {}],
  ["--oom-kill-disable", { resources: { oomKillDisable: true } }],
  ["--oom-kill-disable=false", {}],
  ["--kernel-memory 0", {}],
  [
    "--blkio-weight-device /dev/a:200 --blkio-weight-device /dev/b/c:0",
    {
      resources: {
        blkioWeightDevice: [
          { path: "/dev/a", value: 200 },
          { path: "/dev/b/c", value: 0 },
        ],
      },
    },
  ],
  ["--device-read-bps /dev/a:1.5k", { resources: { deviceReadBps: [{ path: "/dev/a", value: 1536 }] } }],
  ["--device-write-bps /dev/a:1mb", { resources: { deviceWriteBps: [{ path: "/dev/a", value: mebibyte }] } }],
  ["--device-read-iops /dev/a:10", { resources: { deviceReadIops: [{ path: "/dev/a", value: 10 }] } }],
  ["--device-write-iops /dev/a:0", { resources: { deviceWriteIops: [{ path: "/dev/a", value: 0 }] } }],
  ["--oom-score-adj -500", { oomScoreAdj: -500 }],
  ["--oom-score-adj 0", { oomScoreAdj: 0 }],
  ["--shm-size 128m", { shmSize: 128 * mebibyte }],
  ["--shm-size 0", {}],
  ["--cgroup-parent /batch/nightly", { cgroupParent: "/batch/nightly" }],
  ["--cgroup-parent=", {}],
];

test.each(ofRunAlone)("%s of run alone", (line, expected) => {
  expect(asked(line)).toEqual(expected);
});

describe("refused is", () => {
  const refused: [line: string, message: string][] = [
    ["-m abc", '--memory must be a size such as 64m or 1g, not "abc"'],
    ["-m -1", '--memory must be a size such as 64m or 1g, not "-1"'],
    ["--memory=", '--memory must be a size such as 64m or 1g, not ""'],
    ["-m 10bb", '--memory must be a size such as 64m or 1g, not "10bb"'],
    ["-m 6291455", "--memory (6291455 bytes) is too little: the minimum is 6m"],
    ["--memory-reservation 5m", "--memory-reservation (5242880 bytes) is too little: the minimum is 6m"],
    ["--memory-swap -2", '--memory-swap must be a size such as 64m or 1g, not "-2"'],
    ["--cpus 1.5 --cpu-quota 1000", "conflicting options: --cpus and --cpu-quota cannot both be set"],
    ["--cpus 1.5 --cpu-period 1000", "conflicting options: --cpus and --cpu-period cannot both be set"],
    ["--cpus -1", '--cpus must be a number of processors such as 1.5, not "-1"'],
    ["--cpus abc", '--cpus must be a number of processors such as 1.5, not "abc"'],
    ["--cpus 0.0000000001", '--cpus must be a number of processors such as 1.5, not "0.0000000001"'],
    ["--cpus=", '--cpus must be a number of processors such as 1.5, not ""'],
    ["--cpus .", '--cpus must be a number of processors such as 1.5, not "."'],
    ["--cpu-period 999", "--cpu-period must be from 1000 to 1000000, not 999"],
    ["--cpu-period 1000001", "--cpu-period must be from 1000 to 1000000, not 1000001"],
    ["--cpu-quota 999", "--cpu-quota must be at least 1000, not 999"],
    ["--cpu-quota -2", "--cpu-quota must be at least 1000, not -2"],
    ["-c 1", "--cpu-shares must be from 2 to 262144, not 1"],
    ["-c 1.5", '--cpu-shares must be a whole number, not "1.5"'],
    ["-c 08", '--cpu-shares must be a whole number, not "08"'],
    ["-c 0x", '--cpu-shares must be a whole number, not "0x"'],
    ["-c 9007199254740993", '--cpu-shares must be a whole number, not "9007199254740993"'],
    ["--cpu-rt-period 10 --cpu-rt-runtime 11", "--cpu-rt-runtime must be from 1 to 10, not 11"],
    ["--cpuset-cpus abc", 'invalid --cpuset-cpus "abc": it is no list such as 0-3,7'],
    ["--cpuset-cpus 3-1", 'invalid --cpuset-cpus "3-1": it is no list such as 0-3,7'],
    ["--cpuset-mems 0,", 'invalid --cpuset-mems "0,": it is no list such as 0-3,7'],
    ["--pids-limit x", '--pids-limit must be a whole number, not "x"'],
    ["--blkio-weight 9", "--blkio-weight must be from 10 to 1000, not 9"],
    ["--blkio-weight 1001", "--blkio-weight must be from 10 to 1000, not 1001"],
  ];
  test.each(refused)("%s", (line, message) => {
    expect(() => asked(line)).toThrow(new UsageError(message));
    expect(() => changed(line)).toThrow(new UsageError(message));
  });

  const device = "it is not of the form /dev/DEVICE:VALUE";
  const ofRun: [line: string, message: string][] = [
    ["--memory-swap 64m", "--memory-swap limits memory and swap together, and needs --memory beside it"],
    ["-m 10m --memory-swap 9m", "--memory-swap (9437184 bytes) is less than --memory (10485760 bytes)"],
    ["-m 7m --memory-reservation 8m", "--memory (7340032 bytes) is less than --memory-reservation (8388608 bytes)"],
    ["--memory-swappiness 101", "--memory-swappiness must be from 0 to 100, not 101"],
    ["--memory-swappiness -2", "--memory-swappiness must be from 0 to 100, not -2"],
    ["--blkio-weight-device /dev/a:5", "--blkio-weight-device /dev/a must be from 10 to 1000, not 5"],
    ["--blkio-weight-device /dev/a", `invalid --blkio-weight-device "/dev/a": ${device}`],
    ["--blkio-weight-device a:100", `invalid --blkio-weight-device "a:100": ${device}`],
    ["--blkio-weight-device /dev/a:b:9", 'the value of --blkio-weight-device /dev/a must be a whole number, not "b:9"'],
    ["--device-read-bps /dev/a:-1", 'the value of --device-read-bps /dev/a must be a size such as 64m or 1g, not "-1"'],
    ["--device-write-bps /dev/a:", 'the value of --device-write-bps /dev/a must be a size such as 64m or 1g, not ""'],
    ["--device-read-iops /dev/a:1k", 'the value of --device-read-iops /dev/a must be a whole number, not "1k"'],
    ["--device-write-iops /dev/a:-1", "the value of --device-write-iops /dev/a must not be negative"],
    ["--oom-score-adj 1001", "--oom-score-adj must be from -1000 to 1000, not 1001"],
    ["--oom-score-adj x", '--oom-score-adj must be a whole number, not "x"'],
    ["--shm-size -1", '--shm-size must be a size such as 64m or 1g, not "-1"'],
    ["--cgroup-parent /a/../../b", 'invalid --cgroup-parent "/a/../../b": it must not climb with ..'],
    [
      "--kernel-memory 8m",
      "--kernel-memory cannot be granted: kernels do not limit it apart from other memory any more",
    ],
  ];
  test.each(ofRun)("%s by run", (line, message) => {
    expect(() => asked(line)).toThrow(new UsageError(message));
  });

  test.each(["--memory-swappiness 5", "--kernel-memory 8m", "--shm-size 1m", "--oom-kill-disable"])(
    "%s by update, which has no such flag",
    (line) => {
      expect(() => changed(line)).toThrow("unknown flag");
    },
  );
});

test("memory and swap together are compared with what the container has, which update does not know here", () => {
  expect(changed("--memory-swap 64m")).toEqual({ memorySwap: 64 * mebibyte });
});
