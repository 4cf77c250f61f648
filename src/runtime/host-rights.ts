import { namespaceAt } from "../linux/namespace.ts";
import { runsInUserNamespace } from "../linux/user-namespace.ts";
import type { RuntimeSpec } from "../oci/runtime-spec.ts";
import { InvalidDocumentError, UsageError } from "../util/errors.ts";
import { type Caller, ownCaller } from "./id-mapping.ts";
import { needsPreparation } from "./mount-options.ts";
import type { HostRights } from "./plan/rights.ts";

/** gocker's own. */
export function ownHostRights(): HostRights {
  const isRoot = ownCaller().uid === 0;
  return { isRoot, makesDevices: isRoot && !runsInUserNamespace() };
}

/**
 * Refuses what takes root, when gocker does not run as root.
 * @throws InvalidDocumentError, UsageError
 */
export function refuseWhatTakesRoot(
  spec: RuntimeSpec,
  { uid }: Caller,
  { systemdCgroup, namespace = namespaceAt }: RefusalOptions,
): void {
  if (uid === 0) return;
  const user = (spec.linux?.namespaces ?? []).find(({ type }) => type === "user");
  const isOwn = user !== undefined && isGockers(user.path ?? "", namespace);
  if (user === undefined || isOwn) {
    throw new InvalidDocumentError("linux.namespaces: without root, a container needs a user namespace of its own", {
      hint: "`gocker oci spec --rootless` writes such a specification",
    });
  }
  if (systemdCgroup) {
    throw new UsageError("--systemd-cgroup needs root: gocker asks the system's systemd only, not a user's", {
      hint: "leave it out",
    });
  }
  if (Object.keys(spec.linux?.netDevices ?? {}).length > 0) {
    throw new InvalidDocumentError("linux.netDevices: the host's network devices can be moved by root only");
  }
  const index = (spec.mounts ?? []).findIndex(needsPreparation);
  if (index < 0) return;
  throw new InvalidDocumentError(
    `mounts[${index}]: tmpcopyup, and mounts that change the owners of files, are made by root only`,
  );
}

interface RefusalOptions {
  readonly systemdCgroup: boolean;
  /** Of linux/namespace.ts, unless told. */
  readonly namespace?: typeof namespaceAt;
}

function isGockers(path: string, namespace: typeof namespaceAt): boolean {
  if (path === "") return false;
  const found = namespace(path);
  return typeof found === "object" && found.isOwn;
}
