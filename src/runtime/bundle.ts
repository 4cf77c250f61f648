import { readFileSync, realpathSync, statSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import type { RuntimeSpec } from "../oci/runtime-spec.ts";
import { parseRuntimeSpec } from "../oci/runtime-spec-parse.ts";
import { InvalidDocumentError, NotFoundError } from "../util/errors.ts";

/** A bundle that was read. OCI runtime specification, bundle.md */
export interface Bundle {
  /** Absolute. */
  readonly directory: string;
  readonly spec: RuntimeSpec;
  /** `config.json` as it is. */
  readonly text: string;
  /** The root directory: absolute, without links. */
  readonly rootfs: string;
}

/**
 * Reads a bundle.
 * @param directory absolute
 * @throws NotFoundError a part of it is missing; InvalidDocumentError its specification breaks the rules
 */
export function readBundle(directory: string): Bundle {
  const bytes = readPart(`${directory}/config.json`, (path) => readFileSync(path), "specification");
  const spec = parseRuntimeSpec(bytes);
  if (spec.root === undefined) throw new InvalidDocumentError("root: a container needs a root directory");
  const { path } = spec.root;
  const whole = isAbsolute(path) ? path : join(directory, path);
  const rootfs = readPart(whole, (place) => realpathSync(place), "root directory (root.path)");
  if (!statSync(rootfs).isDirectory()) throw new InvalidDocumentError(`root.path: ${whole} is no directory`);
  return { directory, spec: withWholePaths(spec, directory, rootfs), text: new TextDecoder().decode(bytes), rootfs };
}

/**
 * config.md, "Mounts": the source of a bind mount may be relative to the bundle. A destination that names the root
 * directory by its path on the host is a place in it, as in runc.
 */
function withWholePaths(spec: RuntimeSpec, directory: string, rootfs: string): RuntimeSpec {
  if (spec.mounts === undefined) return spec;
  const mounts = spec.mounts.map((mount) => {
    const { type, source, options = [] } = mount;
    const isBind = type === "bind" || options.includes("bind") || options.includes("rbind");
    const isRelative = isBind && source !== undefined && !isAbsolute(source);
    const isOfHost = mount.destination.startsWith(`${rootfs}/`);
    if (!isRelative && !isOfHost) return mount;
    return {
      ...mount,
      ...(isRelative && { source: join(directory, source) }),
      ...(isOfHost && { destination: mount.destination.slice(rootfs.length) }),
    };
  });
  return { ...spec, mounts };
}

function readPart<Result>(path: string, read: (path: string) => Result, what: string): Result {
  try {
    return read(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new NotFoundError(`the bundle's ${what} does not exist: ${path}`, { cause: error });
  }
}
