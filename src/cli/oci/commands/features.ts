import { runtimeFeatures } from "../../../runtime/features.ts";
import { writeOutput } from "../../output/write.ts";
import { ociCommand } from "../command.ts";

export const featuresCommand = ociCommand({
  meta: {
    name: "features",
    description: "Show what the runtime can do, as JSON",
    usage: "",
    operands: { minimum: 0, maximum: 0 },
  },
  flags: {},
  async run() {
    writeOutput(`${JSON.stringify(runtimeFeatures(), undefined, 2)}\n`);
    return 0;
  },
});
