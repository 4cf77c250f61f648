import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { defaultRuntimeSpec, rootlessSpec } from "../../../oci/default-runtime-spec.ts";
import { detectCgroups } from "../../../runtime/cgroup/detect.ts";
import { ConflictError } from "../../../util/errors.ts";
import { ociCommand } from "../command.ts";

export const specCommand = ociCommand({
  meta: {
    name: "spec",
    description: "Write a config.json to begin with",
    usage: "[OPTIONS]",
    operands: { minimum: 0, maximum: 0 },
  },
  flags: {
    bundle: {
      type: "string",
      alias: "b",
      valueHint: "DIR",
      description: "The bundle (default: the current directory)",
    },
    rootless: { type: "boolean", description: "One for a container that its caller, without root's rights, can make" },
  },
  async run({ flags }) {
    const whole = defaultRuntimeSpec({ cgroupNamespace: detectCgroups().v1.length === 0 });
    const caller = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
    const spec = flags.rootless ? rootlessSpec(whole, caller) : whole;
    const path = resolve(flags.bundle ?? ".", "config.json");
    try {
      writeFileSync(path, `${JSON.stringify(spec, undefined, "\t")}\n`, { flag: "wx", mode: 0o666 });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      throw new ConflictError(`${path} exists already`, { hint: "remove it first", cause: error });
    }
    return 0;
  },
});
