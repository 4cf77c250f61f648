import type { DeviceCgroupRule } from "../oci/runtime-spec.ts";
import type { ContainerOptions } from "./options.ts";

/**
 * What the user asked for when he made the container, as far as neither the record nor the specification says it, or
 * says it in his words: `inspect` shows it. What is absent was not asked for.
 */
export interface AskedOptions extends Partial<
  Pick<
    ContainerOptions,
    | "words"
    | "dockerWords"
    | "entrypoint"
    | "workingDirectory"
    | "ulimits"
    | "mounts"
    | "capAdd"
    | "capDrop"
    | "privileged"
  >
> {
  /** It was run without anybody to show it to (`-d`). */
  readonly detach?: boolean;
  /** The streams that were to be shown (`-a`); absent: its outputs, and its input if it has any. */
  readonly attach?: readonly string[];
  readonly addHosts?: readonly { readonly name: string; readonly address: string }[];
  readonly dns?: readonly string[];
  readonly dnsSearch?: readonly string[];
  readonly dnsOptions?: readonly string[];
  readonly seccomp?: "default" | "unconfined" | { readonly file: string };
  readonly cidFile?: string;
  readonly network?: AskedNamespace;
  readonly ipc?: AskedNamespace;
  readonly pid?: AskedNamespace;
  readonly sysctls?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly devices?: readonly { readonly source: string; readonly target: string; readonly access: string }[];
  readonly deviceRules?: readonly DeviceCgroupRule[];
  readonly volumesFrom?: readonly { readonly container: string; readonly readOnly: boolean }[];
  readonly cgroupParent?: string;
  readonly diskSize?: number;
}

/** A namespace by Docker's word for it, of another container, or by its path. */
export type AskedNamespace = string | { readonly container: string } | { readonly path: string };

const names: ReadonlySet<string> = new Set([
  "words",
  "dockerWords",
  "entrypoint",
  "workingDirectory",
  "ulimits",
  "mounts",
  "capAdd",
  "capDrop",
  "privileged",
  "detach",
  "attach",
  "addHosts",
  "dns",
  "dnsSearch",
  "dnsOptions",
  "seccomp",
  "cidFile",
  "network",
  "ipc",
  "pid",
  "sysctls",
  "annotations",
  "devices",
  "deviceRules",
  "volumesFrom",
  "cgroupParent",
  "diskSize",
] satisfies (keyof AskedOptions)[]);

/** Those of the options that are kept, and say something: neither absent nor false nor empty. */
export function askedOptions(options: object): AskedOptions {
  const entries = Object.entries(options) as [string, unknown][];
  return Object.fromEntries(entries.filter(([name, value]) => names.has(name) && saysSomething(value)));
}

function saysSomething(value: unknown): boolean {
  if (value === undefined || value === false) return false;
  return typeof value !== "object" || value === null || Object.keys(value).length > 0;
}
