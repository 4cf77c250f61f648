import { versionInfo } from "../../engine/version.ts";
import { command } from "../command.ts";
import { formatProperties, formatRecord } from "../output/record.ts";
import { writeOutput } from "../output/write.ts";

export const versionCommand = command({
  meta: {
    name: "version",
    description: "Show gocker's version and what it runs on",
    usage: "[OPTIONS]",
    operands: { minimum: 0, maximum: 0 },
    examples: [{ words: "gocker version --format '{{.Version}}'", does: "The number alone" }],
  },
  flags: {
    format: {
      type: "string",
      alias: "f",
      valueHint: "FORMAT",
      description: "Print it as json, or by a template such as '{{.Version}}'",
    },
  },
  async run({ flags }) {
    const { version, bun, os, architecture, kernel } = versionInfo();
    const record = { Version: version, BunVersion: bun, Os: os, Arch: architecture, KernelVersion: kernel };
    const text = () =>
      formatProperties([
        ["gocker", version],
        ["Bun", bun],
        ["Platform", `${os}/${architecture}`],
        ["Kernel", kernel],
      ]);
    writeOutput(formatRecord(record, flags.format, text));
    return 0;
  },
});
