import { connectUnix } from "../../../linux/unix-socket.ts";
import { createContainer } from "../../../runtime/create.ts";
import { deleteContainer } from "../../../runtime/delete.ts";
import { openBundle } from "../bundle.ts";
import { creationFlags, ociCommand } from "../command.ts";
import { writePidFile } from "../pid-file.ts";
import { pidfdReceiver } from "../pidfd-socket.ts";
import { handedOn, withVariables } from "../preserved.ts";

export const createCommand = ociCommand({
  meta: {
    name: "create",
    description: "Make a container that waits to be started",
    usage: "[OPTIONS] ID",
    operands: { minimum: 1, maximum: 1 },
  },
  flags: creationFlags,
  async run({ flags, operands, store, systemdCgroup, isRootless, warn, debug }) {
    const [id = ""] = operands;
    using opened = openBundle(flags.bundle);
    const { resolveTarget } = opened;
    const { preservedDescriptors, variables } = handedOn(flags["preserve-fds"]);
    const bundle = withVariables(opened.bundle, variables);
    const path = flags["console-socket"];
    using socket = path === undefined ? undefined : connectUnix(path);
    using receiver = pidfdReceiver(flags["pidfd-socket"], "standard");
    using created = await createContainer({
      store,
      id,
      bundle,
      resolveTarget,
      stdio: [0, 1, 2],
      terminalSocket: socket?.number,
      preservedDescriptors,
      newKeyring: !flags["no-new-keyring"],
      noPivot: flags["no-pivot"],
      systemdCgroup,
      isRootless,
      warn,
      debug,
    });
    await using cleanup = new AsyncDisposableStack();
    cleanup.defer(() => deleteContainer(created.container, { force: true, warn }));
    writePidFile(flags["pid-file"], created.pid);
    if (receiver !== undefined) {
      using pidfd = created.container.requireProcess();
      receiver.send(pidfd);
    }
    cleanup.move();
    return 0;
  },
});
