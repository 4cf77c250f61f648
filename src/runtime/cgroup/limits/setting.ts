import { CgroupError } from "../errors.ts";

/** One limit: what is written to which file. */
export interface Setting {
  /** The property's path, for errors: `linux.resources.cpu.quota`. */
  readonly property: string;
  /** The controller that the file belongs to; `cgroup` for the hierarchy's own files. */
  readonly controller: string;
  readonly file: string;
  readonly value: string;
  /** For kernels that do not have the file: another one, which means the same. */
  readonly alternative?: { readonly file: string; readonly value: string };
  /** Where the file, or the controller, is missing there is nothing to do: what is asked for is so anyway. */
  readonly ifPresent?: boolean;
  /**
   * When the kernel refuses the value with EINVAL, it is written again after this file, which is written later: the
   * two only fit together (a quota within its period, memory within memory and swap), and which of them has to come
   * first depends on what is there now.
   */
  readonly retryAfter?: string;
  /** For a file with a line for each device: with what this one's begins, and how it ends when there is none. */
  readonly line?: { readonly key: string; readonly absent: string };
}

/** Collects settings of one object of `linux.resources`. */
export class SettingList {
  readonly settings: Setting[] = [];

  /**
   * @param property without `linux.resources.`
   * @param value undefined: not asked for, nothing is added
   */
  add(
    property: string,
    controller: string,
    file: string,
    value: number | string | undefined,
    more?: Partial<Setting>,
  ): void {
    if (value === undefined) return;
    this.settings.push({
      property: `linux.resources.${property}`,
      controller,
      file,
      value: String(value),
      ...more,
    });
  }
}

/** The error for a limit that this host's version of cgroups does not have. @param property its path */
export function onlyInVersion(version: 1 | 2, property: string, controller: string): CgroupError {
  const host = version === 1 ? 2 : 1;
  return new CgroupError(
    "CGROUPS_UNABLE",
    `invalid configuration: ${property} exists in cgroups of version ${version} only, ` +
      `and this host has ${controller} in version ${host} or not at all`,
  );
}
