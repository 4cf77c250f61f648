import type { Healthcheck } from "../container/healthcheck.ts";
import type { ContainerOptions } from "../container/options.ts";
import type { LogConfiguration, RestartPolicy } from "../container/record.ts";

/** What `gocker run` was asked to do: the command line's words in gocker's terms, nothing looked up yet. */
export interface RunOptions extends ContainerOptions {
  /** The image as the user named it. */
  image: string;

  interactive: boolean;
  /** Remove the container when it has ended. */
  remove: boolean;
  /** A reaper of gocker's own is process 1. */
  init: boolean;
  /** It goes on by itself, and gocker does not wait for it. */
  detach: boolean;
  /** Of its streams, those that gocker shows; absent: its outputs, and its input if it has any. */
  attach?: Stream[];
  /** gocker's signals end gocker instead of going to the container, which goes on. */
  keepSignals?: boolean;
  /** What happens when it has ended. */
  restart?: RestartPolicy;
  /** Where what it writes is kept. */
  log?: LogConfiguration;
  /** The keys that leave it while it goes on, from `parseDetachKeys`. */
  detachKeys?: Uint8Array;

  name?: string;
  /** Seconds; negative: for ever. */
  stopTimeout?: number;
  /** On top of the image's. */
  healthcheck?: Healthcheck;
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

  addHosts: { name: string; address: string }[];
  dns: string[];
  /** In place of the host's; `.` alone for none. */
  dnsSearch?: string[];
  dnsOptions?: string[];
  /** `80/tcp` */
  exposedPorts?: string[];
  seccomp: "default" | "unconfined" | { file: string };

  /** Print the launch plan: before running, or instead of it. */
  explain?: "only" | "run";
}

export type Stream = "stdin" | "stdout" | "stderr";

export type PullPolicy = "always" | "missing" | "never";
