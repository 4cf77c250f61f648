import { isUnused, type NetworkSummary } from "../../../engine/network/summary.ts";
import { listNetworks } from "../../../engine/networks.ts";
import { isPredefined } from "../../../network/record.ts";
import { UsageError } from "../../../util/errors.ts";
import { command } from "../../command.ts";
import { openEngine } from "../../open-engine.ts";
import { hasLabel, parseFilters } from "../../output/filter.ts";
import { formatList, type ListLayout, type ListRecord } from "../../output/list.ts";
import { listFlags } from "../../output/list-flags.ts";
import { formatTime } from "../../output/when.ts";
import { writeOutput } from "../../output/write.ts";
import { filterSwitch, nameTest } from "../volume/filter.ts";

/** Docker's fields and headings. */
const layout: ListLayout = {
  headings: {
    ID: "NETWORK ID",
    Name: "NAME",
    Driver: "DRIVER",
    Scope: "SCOPE",
    IPv4: "IPV4",
    IPv6: "IPV6",
    Internal: "INTERNAL",
    Labels: "LABELS",
    CreatedAt: "CREATED AT",
  },
  columns: ["ID", "Name", "Driver", "Scope"],
};

const { filter, format, quiet } = listFlags;

export const networkLsCommand = command({
  meta: {
    name: "ls",
    description: "List networks",
    usage: "[OPTIONS]",
    operands: { minimum: 0, maximum: 0 },
    notes: [
      {
        heading: "Filters",
        text: "dangling (true: no container wants to be in it), driver, id, label, name, scope (local), type (builtin, custom)",
      },
    ],
    examples: [
      { words: "gocker network ls", does: "All networks" },
      { words: "gocker network ls -q --filter dangling=true", does: "IDs of those that no container wants" },
    ],
  },
  flags: {
    filter,
    format,
    quiet: { ...quiet, description: "Print only the IDs" },
    "no-trunc": { type: "boolean", description: "Print whole IDs" },
  },
  async run({ flags, everywhere }) {
    const isWanted = parseFilters<NetworkSummary>(flags.filter, {
      dangling: {
        prepare(value) {
          const wanted = filterSwitch("dangling", value);
          return (network) => isUnused(network) === wanted;
        },
      },
      driver: (network, value) => network.driver === value,
      id: (network, value) => network.id.startsWith(value),
      label: (network, value) => hasLabel(network.labels, value),
      name: { prepare: nameTest },
      scope: (_network, value) => value === "local",
      type: {
        prepare(value) {
          if (value !== "builtin" && value !== "custom") {
            throw new UsageError(`invalid --filter type=${value}: it is builtin or custom`);
          }
          return ({ name }) => isPredefined(name) === (value === "builtin");
        },
      },
    });
    const networks = (await listNetworks(openEngine(everywhere))).filter(isWanted);
    const idOf = ({ id }: NetworkSummary) => (flags["no-trunc"] ? id : id.slice(0, 12));
    writeOutput(
      flags.quiet
        ? networks.map((network) => `${idOf(network)}\n`).join("")
        : formatList(
            networks.map((network) => networkRecord(network, idOf(network))),
            layout,
            flags.format || undefined,
          ),
    );
    return 0;
  },
});

function networkRecord(network: NetworkSummary, id: string): ListRecord {
  const hasFamily = (isIpv6: boolean) => String(network.subnets.some(({ subnet }) => subnet.includes(":") === isIpv6));
  return {
    CreatedAt: formatTime(network.created),
    Driver: network.driver,
    ID: id,
    IPv4: hasFamily(false),
    IPv6: hasFamily(true),
    Internal: String(network.internal),
    Labels: Object.entries(network.labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(","),
    Name: network.name,
    Scope: "local",
  };
}
