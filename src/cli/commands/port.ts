import { publishedPorts } from "../../engine/port.ts";
import { NotFoundError, UsageError } from "../../util/errors.ts";
import { command } from "../command.ts";
import { openEngine } from "../open-engine.ts";
import { harmless } from "../output/style.ts";
import { writeError, writeOutput } from "../output/write.ts";

export const portCommand = command({
  meta: {
    name: "port",
    description: "List the published ports of a container",
    usage: "CONTAINER [PORT[/PROTOCOL]]",
    operands: { minimum: 1, maximum: 2 },
    examples: [{ words: "gocker port web 80", does: "Where on the host its port 80 can be reached" }],
  },
  flags: {},
  async run({ operands, everywhere }) {
    const [reference = "", port] = operands;
    if (port !== undefined && !/^\d{1,5}(?:\/(?:tcp|udp|sctp))?$/.test(port)) {
      throw new UsageError(`invalid port ${JSON.stringify(port)}: it is not of the form PORT[/PROTOCOL]`);
    }
    try {
      const ports = await publishedPorts(openEngine(everywhere), reference, port);
      writeOutput(
        ports
          .map(({ port: inside, address }) => (port === undefined ? `${inside} -> ${address}\n` : `${address}\n`))
          .join(""),
      );
      return 0;
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
      writeError(`Error: ${harmless(error.message)}\n`);
      return 1;
    }
  },
});
