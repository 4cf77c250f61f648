import { ContainerStateError } from "../../../runtime/runtime-container.ts";
import { processEnded } from "../../../linux/process.ts";
import { stringifyExact } from "../../../util/exact-json.ts";
import { parseDuration } from "../../../util/units.ts";
import { writeOutput } from "../../output/write.ts";
import { ociCommand } from "../command.ts";

export const eventsCommand = ociCommand({
  meta: {
    name: "events",
    description: "Print a container's statistics and out-of-memory kills, as JSON, a line each",
    usage: "[OPTIONS] ID",
    operands: { minimum: 1, maximum: 1 },
  },
  flags: {
    interval: { type: "string", valueHint: "TIME", default: "5s", description: "Between two statistics" },
    stats: { type: "boolean", description: "Print the statistics once" },
  },
  async run({ flags, operands, store }) {
    const [id = ""] = operands;
    const interval = parseDuration(flags.interval, "--interval");
    using container = store.open(id);
    using pidfd = container.openProcess();
    if (pidfd === undefined) throw new ContainerStateError(id, "stopped", "container not running");
    using cgroup = container.cgroup();
    const statistics = async () => {
      writeOutput(`${stringifyExact({ type: "stats", id, data: await cgroup.statistics() })}\n`);
    };
    if (flags.stats) {
      await statistics();
      return 0;
    }
    using watch = await cgroup.watchOom(() => writeOutput(`${JSON.stringify({ type: "oom", id })}\n`));
    const ended = Promise.race([processEnded(pidfd), watch.ended]).then(() => true);
    while (!(await Promise.race([ended, Bun.sleep(interval).then(() => false)]))) await statistics();
    return 0;
  },
});
