import type { ContainerRecord } from "../../container/record.ts";
import type { Endpoint } from "../../network/endpoints.ts";
import type { ImageConfig } from "../../oci/image-config.ts";
import type { RuntimeSpec } from "../../oci/runtime-spec.ts";

/** Everything that a container's document is made of, looked up beforehand. */
export interface ContainerFacts {
  readonly record: ContainerRecord;
  readonly spec: RuntimeSpec;
  /** Of its image; undefined when that is not here any more. */
  readonly image: ImageConfig | undefined;
  /** The container's directory on the host. */
  readonly directory: string;
  /** The directories of the image's layers, lowest first. */
  readonly layers: readonly string[];
  /** Its processes stand still. */
  readonly paused: boolean;
  /** The file of its log; empty without one. */
  readonly logPath: string;
  /** What it has of networks while it runs. */
  readonly endpoint?: Endpoint | undefined;
  /** Only when asked for. */
  readonly sizes?: ContainerSizes | undefined;
  /** The directory of a volume on the host. */
  volumePath(name: string): string;
}

/** In bytes. */
export interface ContainerSizes {
  /** What the container has written. */
  readonly written: number;
  /** That and its image. */
  readonly whole: number;
}

/** How Go writes that it knows no time. */
export const noTime = "0001-01-01T00:00:00Z";
