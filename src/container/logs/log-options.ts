import { UsageError } from "../../util/errors.ts";
import { parseSize } from "../../util/units.ts";
import type { LogConfiguration } from "../record.ts";
import { checkTag, optionPattern } from "./log-attributes.ts";

/** When a log's file is put aside, and how many are kept. */
export interface RotationOptions {
  /** Bytes after which a new file is begun; undefined for never. */
  readonly maximumSize: number | undefined;
  /** The one that is written to counts. */
  readonly maximumFiles: number;
  /** With gzip, what is not written to any more. */
  readonly compress: boolean;
}

const attributeOptions = ["labels", "labels-regex", "env", "env-regex", "tag"];
const rotationOptions = ["max-size", "max-file", "compress"];

const known: Readonly<Record<LogConfiguration["driver"], readonly string[]>> = {
  "json-file": [...rotationOptions, ...attributeOptions, "mode"],
  local: [...rotationOptions, "mode"],
  journald: [...attributeOptions, "mode"],
  none: [],
};

/**
 * Makes sure that a driver takes its options, before there is a container.
 * @throws UsageError it has no such option, or not of that value
 */
export function checkLogConfiguration({ driver, options }: LogConfiguration): void {
  const names = known[driver];
  const unknown = Object.keys(options).find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new UsageError(`the log driver ${driver} has no option ${JSON.stringify(unknown)}`, {
      hint: names.length === 0 ? "leave --log-opt out" : `it has ${names.join(", ")}`,
    });
  }
  const { mode, tag } = options;
  if (mode !== undefined && mode !== "blocking") {
    throw new UsageError(
      `invalid --log-opt mode=${mode}: gocker's logs lose no lines, and so have the mode blocking only`,
    );
  }
  if (driver !== "journald") rotationOf({ driver, options });
  if (tag !== undefined) checkTag(tag);
  for (const name of ["labels-regex", "env-regex"]) optionPattern(options, name);
}

/** Docker's: units of json-file are decimal, those of local binary. */
const defaults = {
  "json-file": { maximumSize: undefined, maximumFiles: 1, compress: false, unit: 1000 },
  local: { maximumSize: 20 * 2 ** 20, maximumFiles: 5, compress: true, unit: 1024 },
} as const;

/**
 * `max-size`, `max-file` and `compress` of a driver that writes files.
 * @throws UsageError they are not of their form, or do not fit each other
 */
export function rotationOf({ driver, options }: LogConfiguration): RotationOptions {
  const usual = defaults[driver === "local" ? "local" : "json-file"];
  const { "max-size": size, "max-file": files, compress } = options;
  const maximumSize = size === undefined ? usual.maximumSize : parseSize(size, "--log-opt max-size", usual.unit);
  if (maximumSize === 0) throw new UsageError("invalid --log-opt max-size=0: no line has room in that");
  const maximumFiles = files === undefined ? usual.maximumFiles : Number(files);
  if (files !== undefined && !/^[1-9]\d{0,5}$/.test(files)) {
    throw new UsageError(`invalid --log-opt max-file=${JSON.stringify(files)}: it is not a number of files, 1 or more`);
  }
  const isRotated = maximumSize !== undefined && maximumFiles > 1;
  const wanted = compress === undefined ? usual.compress && isRotated : parseBoolean(compress);
  if (wanted && !isRotated) {
    throw new UsageError("invalid --log-opt compress=true: only what is rotated is compressed", {
      hint: "set max-size, and a max-file of 2 or more",
    });
  }
  return { maximumSize, maximumFiles, compress: wanted };
}

/** Go's strconv.ParseBool. */
function parseBoolean(text: string): boolean {
  if (/^(?:1|t|T|TRUE|true|True)$/.test(text)) return true;
  if (/^(?:0|f|F|FALSE|false|False)$/.test(text)) return false;
  throw new UsageError(`invalid --log-opt compress=${JSON.stringify(text)}: it is neither true nor false`);
}
