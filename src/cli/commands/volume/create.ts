import { createVolume } from "../../../engine/volumes.ts";
import { UsageError } from "../../../util/errors.ts";
import { command } from "../../command.ts";
import { parseKeyValues } from "../../key-values.ts";
import { openEngine } from "../../open-engine.ts";
import { writeOutput } from "../../output/write.ts";

export const volumeCreateCommand = command({
  meta: {
    name: "create",
    description: "Make a volume",
    usage: "[OPTIONS] [VOLUME]",
    operands: { minimum: 0, maximum: 1 },
    absent: new Set(
      (
        "availability group limit-bytes name required-bytes scope secret sharing topology-preferred " +
        "topology-required type"
      ).split(" "),
    ),
    notes: [
      {
        heading: "Options of the driver",
        text:
          "Without any, the volume is a directory. With type, device and o, as for mount(8), it is a file system that " +
          "is mounted while containers use it: -o type=none -o o=bind -o device=/DIRECTORY for a directory of the host.",
      },
    ],
    examples: [
      { words: "gocker volume create db", does: "A volume called db" },
      {
        words: "gocker volume create -o type=tmpfs -o device=tmpfs -o o=size=64m scratch",
        does: "One in memory, which containers share while one of them runs",
      },
    ],
  },
  flags: {
    driver: { type: "string", alias: "d", default: "local", description: "The driver: there is none but local" },
    label: { type: "string", repeated: true, valueHint: "KEY[=VALUE]", description: "Note something about the volume" },
    opt: {
      type: "string",
      alias: "o",
      repeated: true,
      valueHint: "KEY=VALUE",
      description: "An option of the driver: type, device or o",
    },
  },
  async run(invocation) {
    const { flags, operands } = invocation;
    if (flags.driver !== "local" && flags.driver !== "") {
      throw new UsageError(`gocker has no volume driver ${JSON.stringify(flags.driver)}`, {
        hint: "leave out --driver: there is none but local",
      });
    }
    const name = await createVolume(openEngine(invocation.everywhere), {
      name: operands[0] === "" ? undefined : operands[0],
      labels: parseKeyValues("--label", flags.label),
      options: parseKeyValues("--opt", flags.opt),
    });
    writeOutput(`${name}\n`);
    return 0;
  },
});
