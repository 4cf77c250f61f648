/**
 * What a container is asked to be, apart from its image: the part of the verbs' options (`RunOptions` of the engine has
 * all of it) that describes the container and not what is done with it.
 */
export interface ContainerOptions {
  readonly words: readonly string[];
  readonly dockerWords: boolean;
  readonly entrypoint?: string | undefined;

  readonly terminal: boolean;
  readonly hostname?: string | undefined;
  readonly labels: Readonly<Record<string, string>>;

  readonly workingDirectory?: string | undefined;
  readonly ulimits: readonly UlimitOption[];
  readonly stopSignal?: string | undefined;

  readonly mounts: readonly MountOption[];
  readonly readOnly: boolean;
  readonly network: "host" | "none";

  readonly capAdd: readonly string[];
  readonly capDrop: readonly string[];
  readonly privileged: boolean;
  readonly noNewPrivileges: boolean;
}

export interface UlimitOption {
  /** Without `RLIMIT_`, in lower case: `nofile`. */
  readonly name: string;
  /** -1 for unlimited. */
  readonly soft: number;
  readonly hard: number;
}

/** One of `-v`, `--mount` and `--tmpfs`. */
export type MountOption = BindMountOption | VolumeMountOption | TmpfsMountOption;

export interface BindMountOption {
  readonly type: "bind";
  /** Absolute. */
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
  /** Make a missing source directory. */
  readonly createSource: boolean;
  readonly propagation?: "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave";
  readonly recursive: boolean;
}

export interface VolumeMountOption {
  readonly type: "volume";
  /** Absent: an anonymous volume. */
  readonly name?: string;
  readonly target: string;
  readonly readOnly: boolean;
  /** Do not fill an empty volume with what the image has at the target. */
  readonly noCopy: boolean;
}

export interface TmpfsMountOption {
  readonly type: "tmpfs";
  readonly target: string;
  /** mount(8) options as given: `size=64m`, `mode=1777`, `ro`, `exec`. */
  readonly options: readonly string[];
}
