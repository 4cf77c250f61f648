import type { NamespaceType, RuntimeSpec } from "../../oci/runtime-spec.ts";
import type { LsmSupport } from "../../linux/lsm.ts";
import { InvalidDocumentError } from "../../util/errors.ts";

/**
 * Refuses what this version does not carry out: a container without a protection that its specification asks for must
 * not start as if it had it.
 * @throws InvalidDocumentError
 */
export function refuseUnsupported({ linux = {} }: RuntimeSpec, lsm: () => LsmSupport): void {
  const asked: Record<string, unknown> = {
    "linux.intelRdt": linux.intelRdt,
  };
  // Nobody looks at labels where the module is not in force.
  if (!isEmpty(linux.mountLabel) && lsm().selinux) asked["linux.mountLabel"] = linux.mountLabel;
  for (const [name, value] of Object.entries(asked)) {
    if (!isEmpty(value)) throw new InvalidDocumentError(`${name} is not supported yet`);
  }
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === "") return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}

/** The settings of the kernel that belong to a namespace, by how their names begin. namespaces(7), runc's validator */
const settingsOfNamespaces: readonly (readonly [NamespaceType, RegExp])[] = [
  ["network", /^net\./],
  ["ipc", /^(?:fs\.mqueue\.|kernel\.(?:msg(?:max|mnb|mni)|sem|shm(?:all|max|mni|_rmid_forced))$)/],
  ["uts", /^kernel\.(?:domainname|hostname)$/],
];

/** The namespace that a setting of the kernel belongs to; undefined when it is the whole host's. */
export function namespaceOfSetting(name: string): NamespaceType | undefined {
  const dotted = name.replaceAll("/", ".");
  return settingsOfNamespaces.find(([, pattern]) => pattern.test(dotted))?.[0];
}

/**
 * Refuses what would change the host instead of the container, because that has no namespace of its own for it.
 * @param own the namespaces in which the container is not where gocker is
 * @throws InvalidDocumentError
 */
export function refuseChangesOfHost(spec: RuntimeSpec, own: ReadonlySet<NamespaceType>): void {
  const { hostname, domainname, linux = {} } = spec;
  for (const [property, value] of Object.entries({ hostname, domainname })) {
    if (value === undefined || own.has("uts")) continue;
    throw new InvalidDocumentError(`${property}: a container without a uts namespace would rename the host`);
  }
  for (const [name, setting] of Object.entries(linux.sysctl ?? {})) {
    const dotted = name.replaceAll("/", ".");
    const namespace = namespaceOfSetting(name);
    if (namespace === undefined)
      throw new InvalidDocumentError(`linux.sysctl: ${name} is the host's, not a container's`);
    const saysOtherDomain = dotted === "kernel.domainname" && domainname !== undefined && setting !== domainname;
    if (dotted === "kernel.hostname" || saysOtherDomain) {
      const property = dotted.slice("kernel.".length);
      throw new InvalidDocumentError(
        `linux.sysctl: ${name} conflicts with the property ${property}, which is for that`,
      );
    }
    if (own.has(namespace)) continue;
    throw new InvalidDocumentError(`linux.sysctl: ${name} would change the host without a ${namespace} namespace`);
  }
}
