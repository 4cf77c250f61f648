import { ociState } from "../../../runtime/oci-state.ts";
import type { ContainerStatus, RuntimeContainer } from "../../../runtime/runtime-container.ts";
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
    const status = await statusWithProcess(container);
    const { rootfs, created, owner } = container.state;
    const { annotations, ...state } = ociState(container.state, status);
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

/** Milliseconds: a container has its first process sooner, unless systemd is slow to make its cgroup. */
const patience = 2000;

/**
 * The status of a container, of one that is being made when it has a process. With other runtimes there is nothing to be
 * seen before, so that who starts `create` and looks until there is a state finds `created`. No hook runs before, which
 * could wait for this.
 */
async function statusWithProcess(container: RuntimeContainer): Promise<ContainerStatus> {
  const deadline = performance.now() + patience;
  for (;;) {
    const status = container.status();
    if (status !== "creating" || performance.now() > deadline) return status;
    await Bun.sleep(5);
    container.readState();
  }
}

/** As runc has it, whose users look for root. */
function ownerName(uid: number): string {
  return uid === 0 ? "" : String(uid);
}
