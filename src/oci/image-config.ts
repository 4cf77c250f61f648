import { InvalidDocumentError } from "../util/errors.ts";
import { type Digest, parseDigest } from "./digest.ts";
import {
  asArray,
  asObject,
  asString,
  asStringMap,
  asStrings,
  type JsonObject,
  kindOf,
  optional,
  parseJsonObject,
  withoutUndefined,
} from "./json.ts";
import type { Manifest } from "./manifest.ts";

/** OCI image specification, config.md, with Docker's additions (Healthcheck, OnBuild, Shell, ArgsEscaped). */
export interface ImageConfig {
  created?: string;
  author?: string;
  architecture: string;
  variant?: string;
  os: string;
  "os.version"?: string;
  "os.features"?: string[];
  config?: ImageConfigExecution;
  rootfs: { type: "layers"; diff_ids: Digest[] };
  history?: { created?: string; author?: string; created_by?: string; comment?: string; empty_layer?: boolean }[];
}

/** The `config` object: how a container of the image starts. */
export interface ImageConfigExecution {
  User?: string;
  ExposedPorts?: Record<string, object>;
  Env?: string[];
  Entrypoint?: string[] | null;
  Cmd?: string[] | null;
  Volumes?: Record<string, object> | null;
  WorkingDir?: string;
  Labels?: Record<string, string> | null;
  StopSignal?: string;
  StopTimeout?: number;
  Healthcheck?: {
    Test?: string[];
    Interval?: number;
    Timeout?: number;
    StartPeriod?: number;
    StartInterval?: number;
    Retries?: number;
  };
  OnBuild?: string[] | null;
  Shell?: string[] | null;
  ArgsEscaped?: boolean;
}

/**
 * Reads an image's config, unknown keys left out.
 *
 * @throws InvalidDocumentError when a required key is missing or any key is of the wrong type.
 */
export function parseImageConfig(bytes: Uint8Array): ImageConfig {
  const object = parseJsonObject(bytes, "the image config");
  const read = reader(object, "the image config");
  const architecture = read.text("architecture");
  const os = read.text("os");
  if (!architecture || !os) throw new InvalidDocumentError("the image config must have architecture and os");
  return withoutUndefined<ImageConfig>({
    created: read.text("created"),
    author: read.text("author"),
    architecture,
    variant: read.text("variant") || undefined,
    os,
    "os.version": read.text("os.version"),
    "os.features": read.texts("os.features"),
    config: optional(object["config"], parseExecution),
    rootfs: parseRootfs(object["rootfs"]),
    history: optional(object["history"], (value) => asArray(value, "history of the image config").map(parseHistory)),
  });
}

/**
 * The check that layers and diff_ids belong together, one to one.
 *
 * @throws InvalidDocumentError when their numbers differ.
 */
export function checkLayerCount(manifest: Manifest, config: ImageConfig): void {
  const [layers, diffIds] = [manifest.layers.length, config.rootfs.diff_ids.length];
  if (layers === diffIds) return;
  throw new InvalidDocumentError(`the manifest has ${layers} layers, but the image config has ${diffIds} diff_ids`);
}

function parseRootfs(value: unknown): ImageConfig["rootfs"] {
  const rootfs = asObject(value, "rootfs of the image config");
  if (rootfs["type"] !== "layers") {
    throw new InvalidDocumentError(
      `type of rootfs of the image config must be "layers", not ${JSON.stringify(rootfs["type"])}`,
    );
  }
  const diffIds = optional(rootfs["diff_ids"], (entry) => asStrings(entry, "diff_ids of the image config")) ?? [];
  return { type: "layers", diff_ids: diffIds.map(parseDigest) };
}

function parseExecution(value: unknown): ImageConfigExecution {
  const what = "config of the image config";
  const object = asObject(value, what);
  const read = reader(object, what);
  return withoutUndefined<ImageConfigExecution>({
    User: read.text("User"),
    ExposedPorts: read.set("ExposedPorts"),
    Env: read.texts("Env"),
    Entrypoint: read.words("Entrypoint"),
    Cmd: read.words("Cmd"),
    Volumes: read.set("Volumes"),
    WorkingDir: read.text("WorkingDir"),
    Labels: optional(object["Labels"], (entry) => asStringMap(entry, `Labels of ${what}`)),
    StopSignal: read.text("StopSignal"),
    StopTimeout: read.integer("StopTimeout"),
    Healthcheck: optional(object["Healthcheck"], parseHealthcheck),
    OnBuild: read.texts("OnBuild"),
    Shell: read.words("Shell"),
    ArgsEscaped: read.flag("ArgsEscaped"),
  });
}

function parseHealthcheck(value: unknown): NonNullable<ImageConfigExecution["Healthcheck"]> {
  const read = reader(asObject(value, "Healthcheck of the image config"), "Healthcheck of the image config");
  return withoutUndefined<NonNullable<ImageConfigExecution["Healthcheck"]>>({
    Test: read.texts("Test"),
    Interval: read.integer("Interval"),
    Timeout: read.integer("Timeout"),
    StartPeriod: read.integer("StartPeriod"),
    StartInterval: read.integer("StartInterval"),
    Retries: read.integer("Retries"),
  });
}

function parseHistory(value: unknown, position: number): NonNullable<ImageConfig["history"]>[number] {
  const what = `history[${position}] of the image config`;
  const read = reader(asObject(value, what), what);
  return withoutUndefined<NonNullable<ImageConfig["history"]>[number]>({
    created: read.text("created"),
    author: read.text("author"),
    created_by: read.text("created_by"),
    comment: read.text("comment"),
    empty_layer: read.flag("empty_layer"),
  });
}

/** Reads the optional values of one object by their type. */
function reader(object: JsonObject, what: string) {
  const at = (key: string) => `${key} of ${what}`;
  const of = (key: string, type: "boolean" | "number") => (value: unknown) => {
    if (typeof value === type) return value;
    throw new InvalidDocumentError(`${at(key)} must be a ${type}, not ${kindOf(value)}`);
  };
  return {
    text: (key: string) => optional(object[key], (value) => asString(value, at(key))),
    texts: (key: string) => optional(object[key], (value) => asStrings(value, at(key))),
    // Docker reads a string as the list of it alone, and wrote such configs once.
    words: (key: string) =>
      optional(object[key], (value) => (typeof value === "string" ? [value] : asStrings(value, at(key)))),
    set: (key: string) =>
      optional(object[key], (value) =>
        Object.fromEntries(Object.keys(asObject(value, at(key))).map((name) => [name, {}])),
      ),
    flag: (key: string) => optional(object[key], of(key, "boolean")) as boolean | undefined,
    integer: (key: string) => optional(object[key], of(key, "number")) as number | undefined,
  };
}
