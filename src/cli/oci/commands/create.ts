import { resolve } from "node:path";
import { connectUnix } from "../../../linux/unix-socket.ts";
import { readBundle } from "../../../runtime/bundle.ts";
import { createContainer } from "../../../runtime/create.ts";
import { creationFlags, ociCommand, refuseNoPivot } from "../command.ts";
import { preservedDescriptors } from "../numbers.ts";
import { writePidFile } from "../pid-file.ts";

export const createCommand = ociCommand({
  meta: {
    name: "create",
    description: "Make a container that waits to be started",
    usage: "[OPTIONS] ID",
    operands: { minimum: 1, maximum: 1 },
  },
  flags: creationFlags,
  async run({ flags, operands, store, warn }) {
    refuseNoPivot(flags["no-pivot"]);
    const [id = ""] = operands;
    const path = flags["console-socket"];
    using socket = path === undefined ? undefined : connectUnix(path);
    using created = await createContainer({
      store,
      id,
      bundle: readBundle(resolve(flags.bundle ?? ".")),
      stdio: [0, 1, 2],
      terminalSocket: socket?.number,
      preservedDescriptors: preservedDescriptors(flags["preserve-fds"]),
      newKeyring: !flags["no-new-keyring"],
      warn,
    });
    writePidFile(flags["pid-file"], created.pid);
    return 0;
  },
});
