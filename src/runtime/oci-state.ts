import type { ContainerState, ContainerStatus } from "./runtime-container.ts";

/** What `state` prints and hooks read. OCI runtime specification, runtime.md, "State" */
export interface OciState {
  readonly ociVersion: string;
  readonly id: string;
  readonly status: ContainerStatus;
  /** 0 when there is no process. */
  readonly pid: number;
  readonly bundle: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** The state of a container in the specification's form. */
export function ociState(state: ContainerState, status: ContainerStatus): OciState {
  const { ociVersion, id, bundle, annotations } = state;
  return {
    ociVersion,
    id,
    status,
    pid: status === "stopped" ? 0 : state.pid,
    bundle,
    ...(Object.keys(annotations).length > 0 && { annotations }),
  };
}
