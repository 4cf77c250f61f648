import type { VolumesFrom } from "../../../container/options.ts";
import { UsageError } from "../../../util/errors.ts";

/** Docker's modes; labels of SELinux stay as they are. */
const modes: Readonly<Record<string, boolean>> = { ro: true, rw: false, z: false, Z: false };

/** Reads a value of `--volumes-from`: `CONTAINER`, `CONTAINER:ro` or `CONTAINER:rw`. @throws {UsageError} */
export function parseVolumesFrom(text: string): VolumesFrom {
  const [container = "", mode = "rw", ...rest] = text.split(":");
  const readOnly = Object.hasOwn(modes, mode) ? modes[mode] : undefined;
  if (container === "" || readOnly === undefined || rest.length > 0) {
    throw new UsageError(`invalid --volumes-from ${JSON.stringify(text)}: it is not of the form CONTAINER[:ro|:rw]`);
  }
  return { container, readOnly };
}
