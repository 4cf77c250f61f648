import { deleteContainer } from "../../../runtime/delete.ts";
import { HookError } from "../../../runtime/hooks.ts";
import { startContainer } from "../../../runtime/start.ts";
import { ociCommand } from "../command.ts";

export const startCommand = ociCommand({
  meta: {
    name: "start",
    description: "Let the program of a container begin that was created",
    usage: "ID",
    operands: { minimum: 1, maximum: 1 },
  },
  flags: {},
  async run({ operands, store, warn }) {
    using container = await store.lock(operands[0] ?? "");
    try {
      await startContainer(container);
      return 0;
    } catch (error) {
      // runtime.md, "Lifecycle": it goes on with the deletion then.
      if (error instanceof HookError) await deleteContainer(container, { force: true, warn });
      throw error;
    }
  },
});
