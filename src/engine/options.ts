/** What `gocker run` was asked to do: the command line's words in gocker's terms, nothing looked up yet. */
export interface RunOptions {
  /** The image as the user named it. */
  image: string;
  /** Everything after the image. */
  words: string[];
  /** `words` always follow ENTRYPOINT, as Docker has it (called through a link named `docker`). */
  dockerWords: boolean;
  /** Replaces ENTRYPOINT; the empty string clears it. */
  entrypoint?: string;

  interactive: boolean;
  terminal: boolean;
  /** Remove the container when it has ended. */
  remove: boolean;
  /** A reaper of gocker's own is PID 1. */
  init: boolean;

  name?: string;
  hostname?: string;
  labels: Record<string, string>;
  /** The container's ID is written to this file, which must not exist. */
  cidFile?: string;

  platform?: string;
  pull: PullPolicy;
  quiet: boolean;

  /** `KEY=value`, or `KEY` alone: taken from gocker's own environment when it is set there. */
  environment: string[];
  environmentFiles: string[];
  user?: string;
  groupAdd: string[];
  workingDirectory?: string;
  ulimits: Ulimit[];
  stopSignal?: string;

  mounts: MountOption[];
  readOnly: boolean;

  network: "host" | "none";
  addHosts: { name: string; address: string }[];
  dns: string[];

  capAdd: string[];
  capDrop: string[];
  privileged: boolean;
  noNewPrivileges: boolean;
  seccomp: "default" | "unconfined" | { file: string };

  /** Print the launch plan: before running, or instead of it. */
  explain?: "only" | "run";
}

export type PullPolicy = "always" | "missing" | "never";

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
