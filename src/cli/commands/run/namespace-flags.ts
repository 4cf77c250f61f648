import type { ContainerOptions, JoinedContainer } from "../../../container/options.ts";
import { UsageError } from "../../../util/errors.ts";
import type { FlagDefinitions, FlagValues } from "../../flags.ts";
import { groups } from "./groups.ts";

/** The flags that say which namespaces a container shares with the host or with another container. */
export const namespaceFlags = {
  ipc: {
    type: "string",
    valueHint: "MODE",
    group: groups.namespaces,
    description: "Shared memory: private, shareable, host, none or container:NAME",
  },
  pid: {
    type: "string",
    valueHint: "MODE",
    group: groups.namespaces,
    description: "Which processes it sees: host or container:NAME",
  },
  uts: { type: "string", valueHint: "host", group: groups.namespaces, description: "Give it the host's names" },
  cgroupns: {
    type: "string",
    valueHint: "private|host",
    group: groups.namespaces,
    description: "Whether it sees its own cgroup as the root of all",
  },
  userns: {
    type: "string",
    valueHint: "host",
    group: groups.namespaces,
    description: "Its users are the host's; there is no other way yet",
  },
} as const satisfies FlagDefinitions;

type NamespaceOptions = Pick<ContainerOptions, "ipc" | "pid" | "uts" | "cgroupns">;

/**
 * Reads the flags of namespaces.
 * @throws {UsageError} a value is none of a flag's
 */
export function namespaceOptions(flags: FlagValues<typeof namespaceFlags>): NamespaceOptions {
  const options: NamespaceOptions = {};
  if (isGiven(flags.ipc)) options.ipc = parseIpc(flags.ipc);
  if (isGiven(flags.pid) && flags.pid !== "private") options.pid = parsePid(flags.pid);
  if (isGiven(flags.uts) && flags.uts !== "private") options.uts = oneOf("--uts", flags.uts, ["host"]);
  if (isGiven(flags.cgroupns)) options.cgroupns = oneOf("--cgroupns", flags.cgroupns, ["private", "host"]);
  if (isGiven(flags.userns) && flags.userns !== "host") {
    throw new UsageError(`invalid --userns ${JSON.stringify(flags.userns)}: gocker run makes no user namespaces yet`, {
      hint: "--userns host is what every container has; `gocker oci` takes user namespaces of a bundle",
    });
  }
  return options;
}

function isGiven(value: string | undefined): value is string {
  return value !== undefined && value !== "";
}

function parseIpc(text: string): NonNullable<ContainerOptions["ipc"]> {
  return parseJoined("--ipc", text) ?? oneOf("--ipc", text, ["private", "shareable", "host", "none"]);
}

function parsePid(text: string): NonNullable<ContainerOptions["pid"]> {
  return parseJoined("--pid", text) ?? oneOf("--pid", text, ["host"]);
}

/** `container:NAME`; undefined for anything else. */
export function parseJoined(flag: string, text: string): JoinedContainer | undefined {
  if (text !== "container" && !text.startsWith("container:")) return undefined;
  const container = text.slice("container:".length);
  if (container !== "") return { container };
  throw new UsageError(`invalid ${flag} ${JSON.stringify(text)}: it names no container`, {
    hint: `it looks like ${flag} container:web`,
  });
}

function oneOf<const Word extends string>(flag: string, text: string, words: readonly Word[]): Word {
  const found = words.find((word) => word === text);
  if (found !== undefined) return found;
  const joins = flag === "--ipc" || flag === "--pid" ? ", container:NAME" : "";
  throw new UsageError(`invalid ${flag} ${JSON.stringify(text)}`, {
    hint: `${flag} takes ${words.join(", ")}${joins}`,
  });
}
