import { existsSync } from "node:fs";
import type { RuntimeContainer } from "../../../runtime/runtime-container.ts";
import { GockerError } from "../../../util/errors.ts";
import { formatTable } from "../../output/table.ts";
import { writeOutput } from "../../output/write.ts";
import { ociCommand } from "../command.ts";

export const listCommand = ociCommand({
  meta: {
    name: "list",
    description: "List the containers of this root directory",
    usage: "[OPTIONS]",
    operands: { minimum: 0, maximum: 0 },
  },
  flags: {
    format: {
      type: "enum",
      alias: "f",
      options: ["table", "json"],
      default: "table",
      description: "How to print them",
    },
    quiet: { type: "boolean", alias: "q", description: "Only the IDs" },
  },
  async run({ flags, store, isDefaultRoot, warn }) {
    const ids = isDefaultRoot && !existsSync(store.root) ? [] : store.ids();
    const found = ids.flatMap((id) => {
      try {
        using container = store.open(id);
        return [describe(container)];
      } catch (error) {
        // Deleted meanwhile, or of another version of gocker.
        if (!(error instanceof GockerError)) throw error;
        if (error.code !== "NOT_FOUND") warn(error.message);
        return [];
      }
    });
    if (flags.quiet) writeOutput(found.map(({ id }) => `${id}\n`).join(""));
    else if (flags.format === "json") writeOutput(`${JSON.stringify(found)}\n`);
    else {
      const rows = found.map(({ id, pid, status, bundle, created, owner }) => [
        id,
        String(pid),
        status,
        bundle,
        created,
        owner,
      ]);
      writeOutput(formatTable([["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"], ...rows]));
    }
    return 0;
  },
});

/** The properties that runc lists, in its order. */
function describe(container: RuntimeContainer) {
  const { ociVersion, id, bundle, rootfs, created, owner, annotations } = container.state;
  const status = container.status();
  const pid = status === "stopped" ? 0 : container.state.pid;
  return {
    ociVersion,
    id,
    pid,
    status,
    bundle,
    rootfs,
    created,
    annotations,
    owner: owner === 0 ? "root" : String(owner),
  };
}
