import type { DbusVariant } from "../../linux/dbus/marshal.ts";
import { parseVariantText } from "../../linux/dbus/variant-text.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import type { UnitProperty } from "./systemd.ts";

const prefix = "org.systemd.property.";

/**
 * Properties of a container's unit that its annotations ask for, as runc has them (docs/systemd.md there):
 * `org.systemd.property.TimeoutStopUSec: "uint64 5000000"`. A name that ends in `Sec`, in seconds, is the one in `USec`,
 * which systemd has instead.
 * @throws InvalidDocumentError a name or a value is none
 */
export function annotatedProperties(annotations: Readonly<Record<string, string>>): UnitProperty[] {
  return Object.entries(annotations)
    .filter(([key]) => key.startsWith(prefix))
    .map(([key, text]) => {
      const name = key.slice(prefix.length);
      // Processes of the host's are not to be drawn into the container's cgroup, and ended with it.
      if (!/^[A-Za-z]{3,}$/.test(name) || name === "PIDs" || name === "PIDFDs") {
        throw new InvalidDocumentError(
          `annotations["${key}"] does not name a property of systemd's that a container may have`,
        );
      }
      const value = readValue(key, text);
      return /[a-z]Sec$/.test(name) ? [name.replace(/Sec$/, "USec"), microseconds(key, value)] : [name, value];
    });
}

function readValue(key: string, text: string): DbusVariant {
  try {
    return parseVariantText(text);
  } catch (error) {
    if (!(error instanceof InvalidDocumentError)) throw error;
    throw new InvalidDocumentError(`annotations["${key}"] is not a value of D-Bus's: ${error.message}`, {
      hint: "values are written like 'text', true, uint64 5 and ['a', 'b']",
      cause: error,
    });
  }
}

function microseconds(key: string, { signature, value }: DbusVariant): DbusVariant {
  const isNumber = typeof value === "bigint" || typeof value === "number";
  if (!isNumber || value < 0) throw new InvalidDocumentError(`annotations["${key}"] is not a number of seconds`);
  const whole = signature === "d" ? BigInt(Math.trunc(Number(value) * 1_000_000)) : BigInt(value) * 1_000_000n;
  if (whole > 0xffff_ffff_ffff_ffffn) throw new InvalidDocumentError(`annotations["${key}"] is too large`);
  return { signature: "t", value: whole };
}
