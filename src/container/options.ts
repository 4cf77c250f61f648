import type { DeviceCgroupRule } from "../oci/runtime-spec.ts";
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
  /** Containers whose volumes and bind mounts it gets too, where it has no other mount. */
  volumesFrom?: VolumesFrom[];
  readOnly: boolean;
  /** `connected`: a network of its own that is connected to {@link networks}. */
  network: "host" | "none" | "connected" | JoinedContainer | { path: string };
  networks?: NetworkRequest[];
  /** Ports that are to be reachable on the host. */
  ports?: PortRequest[];
  /** All ports that its image and its user say it listens on are to be, too. */
  publishAllPorts?: boolean;
  /** Absent: private. */
  ipc?: "private" | "shareable" | "host" | "none" | JoinedContainer;
  /** Absent: a pid namespace of its own. */
  pid?: "host" | JoinedContainer;
  /** Absent: names of its own. */
  uts?: "host";
  /** Absent: private with cgroups of version 2, the host's with version 1. */
  cgroupns?: "private" | "host";
  domainname?: string;
  sysctls?: Record<string, string>;
  annotations?: Record<string, string>;

  devices?: DeviceOption[];
  deviceRules?: DeviceCgroupRule[];

  capAdd: string[];
  capDrop: string[];
  privileged: boolean;
  noNewPrivileges: boolean;
  resources?: ResourceOptions;
  /** -1000 to 1000: which processes are killed first when the whole machine lacks memory. proc_pid_oom_score_adj(5) */
  oomScoreAdj?: number;
  /** Of /dev/shm, in bytes. */
  shmSize?: number;
  /** What it may write to its root file system, in bytes on the disk. */
  diskSize?: number;
  /** The cgroup in which the container's is made, from the root of each hierarchy. */
  cgroupParent?: string;

  /** Nothing in /proc and /sys is masked or read-only. */
  unconfinedPaths?: boolean;
  writableCgroups?: boolean;
  /** The AppArmor profile; absent: gocker's own. */
  apparmorProfile?: string;
}

/** A network of gocker's that a container is to be in. */
export interface NetworkRequest {
  /** Its name or ID. */
  readonly network: string;
  /** Other names that the container has there. */
  readonly aliases?: readonly string[];
  /** Addresses that it is to have there, instead of any. */
  readonly ipv4?: string;
  readonly ipv6?: string;
  /** `02:42:0a:4d:00:02` */
  readonly hardwareAddress?: string;
  /** See `Attachment`. */
  readonly gatewayPriority?: number;
}

/** `-p`: a port of a container that is to be reachable on the host. */
export interface PortRequest {
  readonly protocol: "tcp" | "udp" | "sctp";
  /** In its usual form; absent: all addresses of the host. */
  readonly hostAddress?: string;
  /** One of these; absent: any that is free. */
  readonly hostPorts?: { readonly first: number; readonly last: number };
  readonly containerPort: number;
}

/** The container whose namespace another one has too: by its name or ID, or by the beginning of that. */
export interface JoinedContainer {
  container: string;
}

/** `--device`: a device of the host, or all below a directory. */
export interface DeviceOption {
  /** Absolute, of the host. */
  source: string;
  /** Absolute, in the container. */
  target: string;
  /** Some of `r`, `w` and `m`. */
  access: string;
}

export interface Ulimit {
  /** Without `RLIMIT_`, in lower case: `nofile`. */
  name: string;
  /** -1 for unlimited. */
  soft: number;
  hard: number;
}

/** `--volumes-from` */
export interface VolumesFrom {
  /** A container's name or ID. */
  container: string;
  readOnly: boolean;
}

/** One of `-v`, `--mount` and `--tmpfs`. */
export type MountOption = BindMountOption | VolumeMountOption | TmpfsMountOption | ImageMountOption;

export interface BindMountOption {
  type: "bind";
  /** Absolute. */
  source: string;
  target: string;
  readOnly: boolean;
  /** `-v` makes a missing source directory; `--mount` does not. */
  createSource: boolean;
  /** `--mount` does, too, when it is told so. */
  createMountpoint?: true;
  propagation?: "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave";
  recursive: boolean;
  /** What is mounted below the source can be written to although the mount itself cannot. */
  writableBelow?: true;
  adjust?: MountAdjustment;
}

/** What is done to the files of a mount's source before the container is made. */
export interface MountAdjustment {
  /** They are given to the container's user (`:U`). */
  chown?: true;
  /** They get a label that containers may use, where SELinux is in force (`:z`, `:Z`). */
  relabel?: true;
}

export interface VolumeMountOption {
  type: "volume";
  /** Absent: an anonymous volume. */
  name?: string;
  /** A volume that has a name and is anonymous all the same: another container's (`--volumes-from`). */
  anonymous?: boolean;
  target: string;
  readOnly: boolean;
  /** Do not fill an empty volume with what the image has at the target. */
  noCopy: boolean;
  /** It is an error that it does not exist. */
  mustExist?: true;
  /** The directory or file in the volume that is mounted, without a slash at its beginning. */
  subpath?: string;
  /** Of a volume that is made for the mount. */
  labels?: Record<string, string>;
  /** The driver's, of a volume that is made for the mount: see `volumeSource`. */
  driverOptions?: Record<string, string>;
  adjust?: MountAdjustment;
}

export interface TmpfsMountOption {
  type: "tmpfs";
  target: string;
  /** mount(8) options as given: `size=64m`, `mode=1777`, `ro`, `exec`. */
  options: string[];
}

/** The files of an image, which nobody can write to. */
export interface ImageMountOption {
  type: "image";
  /** As the user named it. */
  image: string;
  target: string;
  /** The directory or file of the image that is mounted, without a slash at its beginning. */
  subpath?: string;
}
