import { repairNetworks } from "../../../engine/networks.ts";
import { command } from "../../command.ts";
import { openEngine } from "../../open-engine.ts";
import { harmless } from "../../output/style.ts";
import { writeOutput } from "../../output/write.ts";

export const networkRepairCommand = command({
  meta: {
    name: "repair",
    description: "Put networks right, and say what was wrong",
    usage: "",
    operands: { minimum: 0, maximum: 0 },
    examples: [{ words: "gocker network repair", does: "After another program has removed all rules of the firewall" }],
  },
  flags: {},
  async run({ everywhere }) {
    const faults = await repairNetworks(openEngine(everywhere));
    writeOutput(faults.length === 0 ? "Nothing was wrong.\n" : faults.map((fault) => `${harmless(fault)}\n`).join(""));
    return 0;
  },
});
