import { type ImageSummary, listImages } from "../../engine/images.ts";
import { familiarReference, parseReference } from "../../oci/reference.ts";
import { command } from "../command.ts";
import { openEngine } from "../open-engine.ts";
import { parseFilters } from "../output/filter.ts";
import { formatList, type ListLayout, type ListRecord } from "../output/list.ts";
import { listFlags } from "../output/list-flags.ts";
import { formatSize } from "../output/units.ts";
import { formatAgo, formatTime } from "../output/when.ts";
import { writeError, writeOutput } from "../output/write.ts";

/** Docker's fields and headings; `Platform` is gocker's own. */
const layout: ListLayout = {
  headings: {
    Repository: "REPOSITORY",
    Tag: "TAG",
    Digest: "DIGEST",
    ID: "IMAGE ID",
    CreatedSince: "CREATED",
    CreatedAt: "CREATED AT",
    Size: "SIZE",
    VirtualSize: "SIZE",
    Platform: "PLATFORM",
    Containers: "CONTAINERS",
    SharedSize: "SHARED SIZE",
    UniqueSize: "UNIQUE SIZE",
  },
  columns: ["Repository", "Tag", "ID", "CreatedSince", "Size"],
};

const none = "<none>";

export const imagesCommand = command({
  meta: {
    name: "images",
    description: "List images",
    usage: "[OPTIONS] [REPOSITORY[:TAG]]",
    operands: { minimum: 0, maximum: 1 },
    absent: new Set(["tree"]),
    notes: [
      { heading: "Filters", text: "reference (with * for any letters), dangling (true or false: without a tag)" },
    ],
    examples: [
      { words: "gocker images", does: "All images" },
      { words: "gocker images alpine", does: "Those of one repository" },
      { words: "gocker images --format '{{.Repository}}:{{.Tag}} {{.Size}}'", does: "Names and sizes" },
    ],
  },
  flags: {
    // Docker hides intermediate images without it; gocker has none.
    all: { type: "boolean", alias: "a", description: "All images; there are no hidden ones" },
    digests: { type: "boolean", description: "Show the digests of the registries" },
    ...listFlags,
  },
  async run(invocation) {
    const { flags, operands } = invocation;
    const filter = parseFilters<ListRecord>(flags.filter, {
      reference: ({ Repository = "", Tag = "" }, value) => matches(value, Repository, Tag),
      dangling: ({ Tag }, value) => (Tag === none) === /^(?:1|t|true)$/i.test(value),
    });
    const context = openEngine(invocation.everywhere);
    const onDamage = (error: Error) => writeError(`gocker: warning: an image is left out: ${error.message}\n`);
    const now = Date.now();
    const records = listImages(context, { name: operands[0], onDamage })
      .map((image) => imageRecord(image, flags["no-trunc"], now))
      .filter(filter);
    if (flags.quiet) {
      writeOutput([...new Set(records.map(({ ID }) => `${ID}\n`))].join(""));
      return 0;
    }
    const columns = flags.digests ? layout.columns.toSpliced(2, 0, "Digest") : layout.columns;
    writeOutput(formatList(records, { ...layout, columns }, flags.format || undefined));
    return 0;
  },
});

function imageRecord(image: ImageSummary, whole: boolean, now: number): ListRecord & { readonly ID: string } {
  const { id, repository, tag, digest, created, size, os, architecture } = image;
  return {
    Repository: repository === undefined ? none : familiarReference(parseReference(repository)),
    Tag: tag ?? none,
    Digest: digest ?? none,
    ID: whole ? id : id.replace("sha256:", "").slice(0, 12),
    CreatedSince: formatAgo(created, now),
    CreatedAt: formatTime(created),
    Size: formatSize(size),
    VirtualSize: formatSize(size),
    Platform: `${os}/${architecture}`,
    Containers: "N/A",
    SharedSize: "N/A",
    UniqueSize: "N/A",
  };
}

/** `alpine`, `alpine:3.*`, `*`: as a shell matches, `*` and `?` not across a slash. */
function matches(pattern: string, repository: string, tag: string): boolean {
  const expression = pattern
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", "[^/]*")
    .replaceAll("?", "[^/]");
  const whole = new RegExp(`^${expression}$`);
  return whole.test(repository) || whole.test(`${repository}:${tag}`);
}
