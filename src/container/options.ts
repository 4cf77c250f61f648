import type { RunOptions } from "../engine/options.ts";

/** The part of what was asked for that describes the container, and not its image or what is done with it. */
export type ContainerOptions = Readonly<
  Pick<
    RunOptions,
    | "words"
    | "dockerWords"
    | "entrypoint"
    | "terminal"
    | "hostname"
    | "labels"
    | "workingDirectory"
    | "ulimits"
    | "stopSignal"
    | "mounts"
    | "readOnly"
    | "network"
    | "capAdd"
    | "capDrop"
    | "privileged"
    | "noNewPrivileges"
  >
>;
