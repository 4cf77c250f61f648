import { deleteContainer, killAtOnce } from "../../../runtime/delete.ts";
import type { RuntimeContainer } from "../../../runtime/runtime-container.ts";
import type { StateStore } from "../../../runtime/state-store.ts";
import { NotFoundError } from "../../../util/errors.ts";
import { ociCommand } from "../command.ts";

export const deleteCommand = ociCommand({
  meta: {
    name: "delete",
    description: "Remove what a container has left",
    usage: "[OPTIONS] ID",
    operands: { minimum: 1, maximum: 1 },
  },
  flags: {
    force: { type: "boolean", alias: "f", description: "End the container first; one that does not exist is no error" },
  },
  async run({ flags, operands, store, warn }) {
    using container = await find(store, operands[0] ?? "", flags.force);
    if (container !== undefined) await deleteContainer(container, { force: flags.force, warn });
    return 0;
  },
});

async function find(store: StateStore, id: string, force: boolean): Promise<RuntimeContainer | undefined> {
  try {
    if (force) killAtOnce(store.open(id));
    return await store.lock(id);
  } catch (error) {
    if (!force || !(error instanceof NotFoundError)) throw error;
    store.sweep(id);
    return undefined;
  }
}
