import { parseName } from "../../../container/names.ts";
import type { BindMountOption, MountAdjustment, MountOption } from "../../../container/options.ts";
import { UsageError } from "../../../util/errors.ts";
import { bindSource, targetFault } from "./bind-path.ts";

type Propagation = NonNullable<BindMountOption["propagation"]>;

interface VolumeOptions {
  readOnly?: boolean;
  noCopy?: boolean;
  propagation?: Propagation;
  /** For SELinux: one container's or several's is the same, as gocker's containers run without labels of their own. */
  relabel?: true;
  chown?: true;
  /** How exactly Docker Desktop for Mac keeps both sides the same; always exactly on Linux. */
  consistency?: boolean;
}

/** `-v`'s options: which setting each word makes. Two words for the same setting contradict each other. */
const words: Readonly<Record<string, VolumeOptions>> = {
  ro: { readOnly: true },
  rw: { readOnly: false },
  nocopy: { noCopy: true },
  private: { propagation: "private" },
  rprivate: { propagation: "rprivate" },
  shared: { propagation: "shared" },
  rshared: { propagation: "rshared" },
  slave: { propagation: "slave" },
  rslave: { propagation: "rslave" },
  z: { relabel: true },
  Z: { relabel: true },
  U: { chown: true },
  consistent: { consistency: true },
  cached: { consistency: true },
  delegated: { consistency: true },
};

/**
 * Reads a value of `-v`: `TARGET`, `SOURCE:TARGET` or `SOURCE:TARGET:OPTIONS`. The source is a directory or file of
 * the host when it begins with `/` or `.`, else the name of a volume; without one the volume is anonymous.
 * @throws {UsageError} it is not of that form
 */
export function parseVolumeFlag(text: string, currentDirectory: string): MountOption {
  const parts = text.split(":");
  if (parts.length > 3) throw wrong(text, "it has more than three parts");
  if (parts.includes("")) throw wrong(text, "a part of it is empty");
  const [source, target = "", options = ""] = parts.length === 1 ? [undefined, ...parts] : parts;
  const fault = targetFault(target);
  if (fault !== undefined) throw wrong(text, fault);

  const settings = options === "" ? {} : readOptions(text, options);
  const readOnly = settings.readOnly ?? false;
  const path = source === undefined ? undefined : bindSource(source, currentDirectory);
  if (path === undefined) {
    if (settings.propagation !== undefined) throw wrong(text, `${settings.propagation} is for directories of the host`);
    const name = source === undefined ? {} : { name: volumeName(text, source) };
    return { type: "volume", ...name, target, readOnly, noCopy: settings.noCopy ?? false, ...adjustment(settings) };
  }
  if (settings.noCopy === true) throw wrong(text, "nocopy is for volumes, and this is a directory of the host");
  return {
    type: "bind",
    source: path,
    target,
    readOnly,
    createSource: true,
    recursive: true,
    ...(settings.propagation !== undefined && { propagation: settings.propagation }),
    ...adjustment(settings),
  };
}

function adjustment({ chown, relabel }: VolumeOptions): { readonly adjust?: MountAdjustment } {
  if (chown === undefined && relabel === undefined) return {};
  return { adjust: { ...(chown && { chown }), ...(relabel && { relabel }) } };
}

function readOptions(text: string, options: string): VolumeOptions {
  const settings: VolumeOptions = {};
  for (const word of options.split(",")) {
    const setting = Object.hasOwn(words, word) ? words[word] : undefined;
    if (setting === undefined) {
      throw wrong(text, `there is no option ${JSON.stringify(word)} (there are ${Object.keys(words).join(", ")})`);
    }
    const [name] = Object.keys(setting) as [keyof VolumeOptions];
    if (settings[name] !== undefined) throw wrong(text, `${JSON.stringify(options)} says two things of one kind`);
    Object.assign(settings, setting);
  }
  return settings;
}

function volumeName(text: string, name: string): string {
  try {
    return parseName(name, "volume");
  } catch (cause) {
    const hint = "a directory of the host begins with / or ./; the name of a volume has letters, digits, _, . and -";
    throw new UsageError(`invalid --volume ${JSON.stringify(text)}: ${JSON.stringify(name)} is no name for a volume`, {
      hint,
      cause,
    });
  }
}

function wrong(text: string, reason: string): UsageError {
  return new UsageError(`invalid --volume ${JSON.stringify(text)}: ${reason}`, {
    hint: "it looks like /host/directory:/in/container, name:/in/container or ./here:/there:ro",
  });
}
