import type { ResourceOptions } from "./resource-options.ts";

/**
 * What a container is asked to be: the part of what the user asked for that describes the container itself, and not its
 * image or what is done with it. The engine's options add the rest.
 */
export interface ContainerOptions {
  /** Everything after the image. */
  words: string[];
  /** `words` always follow ENTRYPOINT, as Docker has it (called through a link named `docker`). */
  dockerWords: boolean;
  /** Replaces ENTRYPOINT; the empty string clears it. */
  entrypoint?: string;

  terminal: boolean;
  hostname?: string;
  labels: Record<string, string>;

  workingDirectory?: string;
  ulimits: Ulimit[];
  stopSignal?: string;

  mounts: MountOption[];
  readOnly: boolean;
  network: "host" | "none";

  capAdd: string[];
  capDrop: string[];
  privileged: boolean;
  noNewPrivileges: boolean;

  resources?: ResourceOptions;
  /** -1000 to 1000: which processes are killed first when the whole machine lacks memory. proc_pid_oom_score_adj(5) */
  oomScoreAdj?: number;
  /** Of /dev/shm, in bytes. */
  shmSize?: number;
  /** The cgroup in which the container's is made, from the root of each hierarchy. */
  cgroupParent?: string;
}

export interface Ulimit {
  /** Without `RLIMIT_`, in lower case: `nofile`. */
  name: string;
  /** -1 for unlimited. */
  soft: number;
  hard: number;
}

/** One of `-v`, `--mount` and `--tmpfs`. */
export type MountOption = BindMountOption | VolumeMountOption | TmpfsMountOption;

export interface BindMountOption {
  type: "bind";
  /** Absolute. */
  source: string;
  target: string;
  readOnly: boolean;
  /** `-v` makes a missing source directory; `--mount` does not. */
  createSource: boolean;
  propagation?: "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave";
  recursive: boolean;
}

export interface VolumeMountOption {
  type: "volume";
  /** Absent: an anonymous volume. */
  name?: string;
  target: string;
  readOnly: boolean;
  /** Do not fill an empty volume with what the image has at the target. */
  noCopy: boolean;
}

export interface TmpfsMountOption {
  type: "tmpfs";
  target: string;
  /** mount(8) options as given: `size=64m`, `mode=1777`, `ro`, `exec`. */
  options: string[];
}
