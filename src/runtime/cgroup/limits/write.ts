import { errorMessage, SystemCallError } from "../../../util/errors.ts";
import { CgroupError } from "../errors.ts";
import { exists, readControl, writeControl } from "../files.ts";
import { shareRealtime } from "./realtime.ts";
import type { Setting } from "./setting.ts";

/** What a file held before it was written, to be put back. */
interface Written {
  readonly setting: Setting;
  readonly path: string;
  readonly before: string;
}

/**
 * The directory of a controller's files.
 * @returns undefined when the controller is missing, and the setting allows for that
 * @throws CgroupError it is missing
 */
export type DirectoryOf = (setting: Setting) => string | undefined;

/**
 * Writes the settings of a new cgroup.
 * @throws CgroupError the kernel refuses one, or does not have it; the message has the property and the controller
 */
export function writeSettings(settings: readonly Setting[], directoryOf: DirectoryOf): void {
  writeInOrder(settings, directoryOf, undefined);
}

/** Puts back what was there before settings were written. @throws AggregateError with what could not be */
export type UndoSettings = () => void;

/**
 * Writes settings of a cgroup that is in use: all of them, or none. When one is refused, what those before it changed
 * is put back, so that the container's limits are never a mixture that nobody has asked for.
 * @throws CgroupError as {@link writeSettings}
 * @throws AggregateError that, and beside it what could not be put back
 */
export function changeSettings(settings: readonly Setting[], directoryOf: DirectoryOf): UndoSettings {
  const written: Written[] = [];
  try {
    writeInOrder(settings, directoryOf, written);
    return () => {
      const failures = putBack(written);
      if (failures.length > 0) throw new AggregateError(failures, "not all limits could be put back");
    };
  } catch (error) {
    const failures = putBack(written);
    if (failures.length === 0) throw error;
    const message = "limits could not be changed, and not all of them be put back";
    throw new AggregateError([error, ...failures], message, { cause: error });
  }
}

function writeInOrder(settings: readonly Setting[], directoryOf: DirectoryOf, written: Written[] | undefined): void {
  let refused: Setting[] = [];
  for (const setting of settings) {
    const directory = directoryOf(setting);
    if (directory !== undefined && !write(setting, directory, written)) refused.push(setting);
    const again = refused.filter(({ retryAfter }) => retryAfter === setting.file);
    if (again.length === 0) continue;
    refused = refused.filter((one) => !again.includes(one));
    for (const { retryAfter: _, ...one } of again) write(one, directoryOf(one) as string, written);
  }
}

/** @returns false when the kernel refuses the value, and it is to be written again after another one */
function write(setting: Setting, directory: string, written: Written[] | undefined): boolean {
  let { file, value } = setting;
  if (setting.alternative !== undefined && !exists(`${directory}/${file}`)) ({ file, value } = setting.alternative);
  const path = `${directory}/${file}`;
  try {
    const before = written === undefined ? "" : valueBefore(setting, path);
    writeOrShare(path, value, file === "cpu.rt_runtime_us" ? directory : undefined);
    written?.push({ setting, path, before });
    return true;
  } catch (error) {
    const code = error instanceof SystemCallError ? error.errnoName : undefined;
    if (code === "ENOENT" && setting.ifPresent === true) return true;
    if (code === "EINVAL" && setting.retryAfter !== undefined) return false;
    throw refusal(setting, directory, error);
  }
}

/** @param directory of a container's realtime, which has to come from somewhere */
function writeOrShare(path: string, value: string, directory: string | undefined): void {
  try {
    writeControl(path, value);
  } catch (error) {
    const isTooMuch = error instanceof SystemCallError && error.errnoName === "EINVAL";
    if (directory === undefined || !isTooMuch || !hasShared(directory, Number(value))) throw error;
    writeControl(path, value);
  }
}

/** A cgroup above that has not enough itself is what the message of the first failure is about. */
function hasShared(directory: string, runtime: number): boolean {
  try {
    return shareRealtime(directory, runtime);
  } catch {
    return false;
  }
}

/** What is to be written to have the present value again. */
function valueBefore({ line }: Setting, path: string): string {
  const text = readControl(path);
  if (line !== undefined) {
    const present = text.split("\n").find((one) => one.startsWith(`${line.key} `));
    return present ?? `${line.key} ${line.absent}`;
  }
  if (path.endsWith("/memory.oom_control")) return /^oom_kill_disable (\d)/m.exec(text)?.[1] ?? "0";
  // An empty write does nothing.
  return text === "" ? "\n" : text;
}

/** Puts back what was there, the last first. @returns the errors */
function putBack(written: readonly Written[]): unknown[] {
  let left = written.toReversed();
  // Values that only fit together can need another order than the one in which they were taken away.
  for (let round = 0; ; round++) {
    const failures: { one: Written; error: unknown }[] = [];
    for (const one of left) {
      try {
        writeControl(one.path, one.before);
      } catch (error) {
        failures.push({ one, error });
      }
    }
    if (failures.length === 0) return [];
    if (failures.length === left.length || round > 2) {
      return failures.map(
        ({ one, error }) =>
          new CgroupError("CGROUPS_UNABLE", `${one.setting.property} could not be put back to "${one.before}"`, {
            cause: error,
          }),
      );
    }
    left = failures.map(({ one }) => one);
  }
}

function refusal({ property, controller, file }: Setting, directory: string, cause: unknown): CgroupError {
  const code = cause instanceof SystemCallError ? cause.errnoName : undefined;
  const hint = hintForRefusal(controller, file, directory, code) ?? (cause as { hint?: string }).hint;
  const message = `${property} cannot be set in the ${controller} controller: ${errorMessage(cause)}`;
  return new CgroupError("CGROUPS_UNABLE", message, { hint, cause });
}

function hintForRefusal(
  controller: string,
  file: string,
  directory: string,
  code: string | undefined,
): string | undefined {
  switch (code) {
    case "EBUSY":
      if (file !== "memory.limit_in_bytes" && !file.startsWith("memory.memsw.")) return undefined;
      return `${readControl(`${directory}/memory.usage_in_bytes`)} bytes are in use, and the kernel could not free enough of them`;
    case "ENOENT":
      return file.startsWith("memory.memsw.")
        ? "this kernel does not count swap: boot it with swapaccount=1, or leave the limit out"
        : `this kernel has no ${file}`;
    case "EINVAL":
      return file.startsWith("cpu.rt_")
        ? "each cgroup above needs at least as much realtime (cpu.rt_runtime_us), of which a new one has none"
        : undefined;
    case "ENODEV":
    case "EOPNOTSUPP":
      return controller === "blkio" || controller === "io" || controller === "rdma"
        ? "it is for a device that this host does not have, or whose scheduler knows no such limit"
        : undefined;
    default:
      return undefined;
  }
}
