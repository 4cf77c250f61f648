import type { OwnedFd } from "../linux/fd.ts";
import type { RuntimeSpec } from "../oci/runtime-spec.ts";
import type { Cgroup } from "./cgroup/cgroup.ts";
import type { OciState } from "./oci-state.ts";
import type { ContainerStatus } from "./runtime-container.ts";

/** A container for those who enter it, whoever keeps account of it: `gocker oci` or `gocker run`. */
export interface LiveContainer {
  readonly id: string;
  /** The number of its first process, as this process sees it; 0 when there is none. */
  readonly pid: number;
  status(): ContainerStatus;
  /** The specification that it was made by. @throws NotFoundError, InvalidDocumentError */
  readSpec(): RuntimeSpec;
  /** The cgroup at its path, where its processes are as long as its first one lives. The caller disposes of it. */
  cgroup(): Cgroup;
  /** Its first process; undefined when that has ended, or there was none yet. The caller closes it. */
  openProcess(): OwnedFd | undefined;
  /** What agents are told of it. */
  ociState(): OciState;
}
