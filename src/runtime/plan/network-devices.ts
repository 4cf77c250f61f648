import type { Linux, NamespaceType } from "../../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../../util/errors.ts";

export type NetDevices = NonNullable<Linux["netDevices"]>;

/** A device of the host's that is to be the container's. */
export interface DeviceMove {
  /** Where it stands in the document, for messages. */
  readonly property: string;
  /** Its name on the host. */
  readonly name: string;
  /** Its name in the container; in place of a `%d` the kernel puts a number that makes it the only one. */
  readonly target: string;
}

/** netdevice(7), IFNAMSIZ with the NUL at the end. */
const longestName = 15;

/**
 * What `linux.netDevices` asks for. Those come first whose names are told: a number of the kernel's choice takes none of
 * theirs. OCI runtime specification 1.3, config-linux.md, "Network Devices"
 * @param own the types of namespaces in which the container is not where gocker is
 * @throws InvalidDocumentError for what cannot be, whatever the host has
 */
export function planDeviceMoves(devices: NetDevices | undefined, own: ReadonlySet<NamespaceType>): DeviceMove[] {
  const moves: DeviceMove[] = [];
  const names = new Map<string, string>();
  for (const [name, { name: newName }] of Object.entries(devices ?? {})) {
    const property = `linux.netDevices.${name}`;
    if (!own.has("network")) {
      throw new InvalidDocumentError(`${property}: unable to move network devices without a network namespace`);
    }
    if (!isDeviceName(name)) throw new InvalidDocumentError(`${property}: no name of a network device`);
    const target = newName === undefined || newName === "" ? name : newName;
    if (!isDeviceName(target) && !isTemplate(target)) {
      throw new InvalidDocumentError(`${property}.name: ${target} is no name of a network device`);
    }
    const other = names.get(target);
    if (other !== undefined) {
      throw new InvalidDocumentError(`${property}.name: ${target} is the name of ${other} already`);
    }
    if (!isTemplate(target)) names.set(target, property);
    moves.push({ property, name, target });
  }
  return [...moves.filter(({ target }) => !isTemplate(target)), ...moves.filter(({ target }) => isTemplate(target))];
}

/** Whether the kernel is to choose a number for the device's name. */
export function isTemplate(name: string): boolean {
  return name.endsWith("%d") && isDeviceName(name.slice(0, -2)) && Buffer.byteLength(name) <= longestName;
}

/** As the kernel's dev_valid_name has it, without the `%` that would make it choose a number. */
function isDeviceName(name: string): boolean {
  if (name === "." || name === "..") return false;
  return Buffer.byteLength(name) <= longestName && /^[^\s/:%\0]+$/.test(name);
}
