import { killContainer } from "../../../runtime/kill.ts";
import { ociCommand } from "../command.ts";
import { parseSignal } from "../numbers.ts";

export const killCommand = ociCommand({
  meta: {
    name: "kill",
    description: "Send a signal to a container (default: SIGTERM)",
    usage: "[OPTIONS] ID [SIGNAL]",
    operands: { minimum: 1, maximum: 2 },
  },
  flags: {
    all: { type: "boolean", alias: "a", description: "Send it to all processes of the container" },
  },
  async run({ flags, operands, store }) {
    const [id = "", signal = "SIGTERM"] = operands;
    const number = parseSignal(signal);
    using container = store.open(id);
    killContainer(container, number, { all: flags.all });
    return 0;
  },
});
