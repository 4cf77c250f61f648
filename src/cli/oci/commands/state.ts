import { ociState } from "../../../runtime/oci-state.ts";
import { writeOutput } from "../../output/write.ts";
import { ociCommand } from "../command.ts";

export const stateCommand = ociCommand({
  meta: {
    name: "state",
    description: "Show a container's state as JSON",
    usage: "ID",
    operands: { minimum: 1, maximum: 1 },
  },
  flags: {},
  async run({ operands, store }) {
    using container = store.open(operands[0] ?? "");
    const { rootfs, created, owner } = container.state;
    const { annotations, ...state } = ociState(container.state, container.status());
    const record = {
      ...state,
      rootfs,
      created,
      ...(annotations !== undefined && { annotations }),
      owner: ownerName(owner),
    };
    writeOutput(`${JSON.stringify(record, undefined, 2)}\n`);
    return 0;
  },
});

/** As runc has it, whose users look for root. */
function ownerName(uid: number): string {
  return uid === 0 ? "" : String(uid);
}
