import { createContainer } from "../../../runtime/create.ts";
import { deleteContainer } from "../../../runtime/delete.ts";
import { startContainer } from "../../../runtime/start.ts";
import { openBundle } from "../bundle.ts";
import { creationFlags, ociCommand } from "../command.ts";
import { ForegroundSignals, processStdio, waitFor } from "../foreground.ts";
import { writePidFile } from "../pid-file.ts";
import { pidfdReceiver } from "../pidfd-socket.ts";
import { handedOn, withVariables } from "../preserved.ts";

export const runCommand = ociCommand({
  meta: {
    name: "run",
    description: "Create and start a container, wait for its end and delete it",
    usage: "[OPTIONS] ID",
    operands: { minimum: 1, maximum: 1 },
  },
  flags: {
    ...creationFlags,
    detach: { type: "boolean", alias: "d", description: "Do not wait, and leave the container" },
    keep: { type: "boolean", description: "Do not delete the container when it has ended" },
  },
  async run({ flags, operands, store, systemdCgroup, isRootless, warn, debug }) {
    using opened = openBundle(flags.bundle);
    const { resolveTarget } = opened;
    const { preservedDescriptors, variables } = handedOn(flags["preserve-fds"]);
    const bundle = withVariables(opened.bundle, variables);
    using stdio = processStdio({
      terminal: bundle.spec.process?.terminal === true,
      consoleSocket: flags["console-socket"],
      detach: flags.detach,
    });
    using receiver = pidfdReceiver(flags["pidfd-socket"], "standard");
    using signals = new ForegroundSignals();
    using created = await createContainer({
      store,
      id: operands[0] ?? "",
      bundle,
      resolveTarget,
      stdio: stdio.descriptors,
      terminalSocket: stdio.terminalSocket,
      preservedDescriptors,
      newKeyring: !flags["no-new-keyring"],
      noPivot: flags["no-pivot"],
      systemdCgroup,
      isRootless,
      warn,
      debug,
      signal: signals.aborted,
    });
    const { container, pid } = created;
    const remove = () => deleteContainer(container, { force: true, warn });
    await using cleanup = new AsyncDisposableStack();
    cleanup.defer(remove);
    writePidFile(flags["pid-file"], pid);
    using pidfd = container.requireProcess();
    receiver?.send(pidfd);
    await stdio.attach();
    await startContainer(container, signals.aborted);
    if (flags.detach) {
      cleanup.move();
      return 0;
    }
    signals.passTo(pidfd);
    // Others may look at it and change it while it runs.
    container.unlock();
    const code = await waitFor({ pid, pidfd });
    await stdio.drain();
    cleanup.move();
    if (!flags.keep && (await container.lockAgain())) await remove();
    return code;
  },
});
