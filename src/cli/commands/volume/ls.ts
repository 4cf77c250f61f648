import { shownLabels } from "../../../container/volume-record.ts";
import { listVolumes, type VolumeSummary } from "../../../engine/volumes.ts";
import { errorMessage } from "../../../util/errors.ts";
import { command } from "../../command.ts";
import { openEngine } from "../../open-engine.ts";
import { hasLabel, parseFilters } from "../../output/filter.ts";
import { formatList, type ListLayout, type ListRecord } from "../../output/list.ts";
import { listFlags } from "../../output/list-flags.ts";
import { writeError, writeOutput } from "../../output/write.ts";
import { filterSwitch, nameTest } from "./filter.ts";

/** Docker's fields and headings. */
const layout: ListLayout = {
  headings: {
    Driver: "DRIVER",
    Name: "VOLUME NAME",
    Scope: "SCOPE",
    Mountpoint: "MOUNTPOINT",
    Labels: "LABELS",
    Links: "LINKS",
    Size: "SIZE",
    Availability: "AVAILABILITY",
    Group: "GROUP",
    Status: "STATUS",
  },
  columns: ["Driver", "Name"],
};

const { filter, format, quiet } = listFlags;

export const volumeLsCommand = command({
  meta: {
    name: "ls",
    description: "List volumes",
    usage: "[OPTIONS]",
    operands: { minimum: 0, maximum: 0 },
    absent: new Set(["cluster"]),
    notes: [{ heading: "Filters", text: "dangling (true: no container has it), driver, label, name" }],
    examples: [
      { words: "gocker volume ls", does: "All volumes" },
      { words: "gocker volume ls -q --filter dangling=true", does: "Names of those that no container has" },
      { words: "gocker volume ls --format '{{.Name}}\\t{{.Mountpoint}}'", does: "Where they are" },
    ],
  },
  flags: { filter, format, quiet: { ...quiet, description: "Print only the names" } },
  async run(invocation) {
    const { flags } = invocation;
    const isWanted = parseFilters<VolumeSummary>(flags.filter, {
      dangling: {
        prepare(value) {
          const wanted = filterSwitch("dangling", value);
          return ({ users }) => (users.length === 0) === wanted;
        },
      },
      driver: (_volume, value) => value === "local",
      label: (volume, value) => hasLabel(shownLabels(volume), value),
      name: { prepare: nameTest },
    });
    const onBroken = (what: string, error: unknown) => {
      writeError(`gocker: warning: ${what} is left out: ${errorMessage(error)}\n`);
    };
    const volumes = (await listVolumes(openEngine(invocation.everywhere), onBroken)).filter(isWanted);
    writeOutput(
      flags.quiet
        ? volumes.map(({ name }) => `${name}\n`).join("")
        : formatList(volumes.map(volumeRecord), layout, flags.format || undefined),
    );
    return 0;
  },
});

function volumeRecord(volume: VolumeSummary): ListRecord {
  return {
    Availability: "N/A",
    Driver: "local",
    Group: "N/A",
    Labels: Object.entries(shownLabels(volume))
      .map(([key, value]) => `${key}=${value}`)
      .join(","),
    Links: "N/A",
    Mountpoint: volume.mountpoint,
    Name: volume.name,
    Scope: "local",
    Size: "N/A",
    Status: "N/A",
  };
}
