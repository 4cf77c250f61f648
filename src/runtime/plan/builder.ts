import {
  AT_EMPTY_PATH,
  F_DUPFD_CLOEXEC,
  FSCONFIG_CMD_CREATE,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  MNT_DETACH,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_T_EMPTY_PATH,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_WRONLY,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
  S_IFREG,
} from "../../linux/constants.ts";
import { slot, type Slot, type Step, type StepGroup } from "../../linux/launch/plan.ts";
import { splitPath } from "../../util/path.ts";

/** What a path in the container must lead to. */
export type TargetKind = "directory" | "file" | "any";

export interface TargetOptions {
  /** No link may be on the way. */
  readonly noSymlinks?: boolean;
  /** Whether what is missing is made: yes, unless told. */
  readonly create?: boolean;
  /** Where the path leads when it does not exist: a link may point to what is to be made. The path itself unless told. */
  readonly createAt?: string;
  /** Where the target is kept, when the caller has a slot for it. */
  readonly result?: Slot;
  /** See {@link Step.hints}. */
  readonly hints?: NonNullable<Step["hints"]>;
}

/** A part of a plan, by the numbers of its first step and of the one after its last, and what asks for it. */
export interface PlanPart {
  readonly from: number;
  readonly until: number;
  /** The path of a property of the specification. */
  readonly property: string;
}

/** Collects the steps of a launch plan, in the order in which the child runs them. */
export class PlanBuilder {
  readonly steps: Step[] = [];
  /** For errors; a part of another one comes before that. */
  readonly parts: PlanPart[] = [];
  /** The container's root directory, once a step has opened it. */
  readonly root: Slot;

  constructor(root: Slot = slot("root")) {
    this.root = root;
  }

  add(step: Step): void {
    this.steps.push(step);
  }

  /** Notes which property of the specification the steps are for that are added meanwhile. */
  about<Result>(property: string, add: () => Result): Result {
    const from = this.steps.length;
    const result = add();
    this.parts.push({ from, until: this.steps.length, property });
    return result;
  }

  /** A step whose result later steps use. */
  addFor(name: string, step: Omit<Step, "result">): Slot {
    const result = slot(name);
    this.add({ ...step, result });
    return result;
  }

  /**
   * A new file system, not yet anywhere in the tree. fsopen(2), fsconfig(2), fsmount(2)
   * @param attributes MOUNT_ATTR_… of the mount
   */
  newFileSystem(input: {
    readonly label: string;
    readonly group: StepGroup;
    readonly type: string;
    readonly source?: string | undefined;
    /** `key=value`, or `key` alone for a flag. */
    readonly options: readonly string[];
    readonly attributes: number;
    /** Where the mount is kept, when the caller has a slot for it. */
    readonly result?: Slot;
  }): Slot {
    const { label, group, type } = input;
    const context = this.addFor(`${type} context`, {
      label: `${label}: begin a file system of the type ${type}`,
      group,
      syscall: "fsopen",
      args: [type, FSOPEN_CLOEXEC],
    });
    const options = input.source === undefined ? input.options : [`source=${input.source}`, ...input.options];
    for (const option of options) this.setFileSystemOption(label, group, context, option);
    this.add({
      label: `${label}: create it`,
      group,
      syscall: "fsconfig",
      args: [context, FSCONFIG_CMD_CREATE, 0, 0, 0],
    });
    const result = input.result ?? slot(`${type} mount`);
    this.add({
      label: `${label}: make a mount of it`,
      group,
      syscall: "fsmount",
      args: [context, FSMOUNT_CLOEXEC, input.attributes],
      result,
    });
    return result;
  }

  /** @param option `key=value`, or `key` alone for a flag; the step's label ends with it. fsconfig(2) */
  setFileSystemOption(label: string, group: StepGroup, context: Slot, option: string): void {
    const equals = option.indexOf("=");
    const args =
      equals < 0
        ? [context, FSCONFIG_SET_FLAG, option, 0, 0]
        : [context, FSCONFIG_SET_STRING, option.slice(0, equals), option.slice(equals + 1), 0];
    this.add({ label: `${label}: set ${option}`, group, syscall: "fsconfig", args });
  }

  /** Puts a mount that is nowhere yet over what `target` is. move_mount(2) */
  attach(label: string, group: StepGroup, mount: Slot, target: Slot, path: string): void {
    this.add({
      label,
      group,
      syscall: "move_mount",
      args: [mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH],
      path,
    });
  }

  /** As {@link attach}, for one of the container's mounts: what covers the root directory is it from then on. */
  mount(label: string, group: StepGroup, mount: Slot, target: Slot, path: string): void {
    this.attach(label, group, mount, target, path);
    if (path !== "/") return;
    this.add({
      label: "Take it as the root directory",
      group,
      syscall: "fcntl",
      args: [mount, F_DUPFD_CLOEXEC, 3],
      result: this.root,
      path,
    });
  }

  /**
   * Takes a mount out of the tree that {@link attach} has put over a directory; what was copied of it stays. umount2(2),
   * which takes paths only
   */
  detach(group: StepGroup, mount: Slot, what: string): void {
    this.add({ label: `Go to ${what}`, group, syscall: "fchdir", args: [mount] });
    this.add({ label: `Take ${what} out of the tree`, group, syscall: "umount2", args: [".", MNT_DETACH] });
    this.add({ label: "Start at / again", group, syscall: "chdir", args: ["/"] });
  }

  /** Changes a mount's attributes; `struct mount_attr` is four 64-bit words. mount_setattr(2), Linux 5.12 */
  setMountAttributes(input: {
    readonly label: string;
    readonly group: StepGroup;
    readonly mount: Slot;
    readonly set?: number;
    readonly clear?: number;
    readonly propagation?: number;
    /** The user namespace that goes with MOUNT_ATTR_IDMAP, by its descriptor. */
    readonly userNamespace?: number;
    /** AT_RECURSIVE, or 0. */
    readonly flags?: number;
    readonly hints?: NonNullable<Step["hints"]>;
    readonly onError?: NonNullable<Step["onError"]>;
    readonly onSuccess?: NonNullable<Step["onSuccess"]>;
  }): void {
    const { hints, onError, onSuccess } = input;
    this.add({
      label: input.label,
      group: input.group,
      syscall: "mount_setattr",
      args: [
        input.mount,
        "",
        AT_EMPTY_PATH | (input.flags ?? 0),
        mountAttributes(input.set ?? 0, input.clear ?? 0, input.propagation ?? 0, input.userNamespace ?? 0),
        mountAttributesSize,
      ],
      ...(hints !== undefined && { hints }),
      ...(onError !== undefined && { onError }),
      ...(onSuccess !== undefined && { onSuccess }),
    });
  }

  /**
   * Opens a path of the container without ever leaving its root: links are followed inside the root, magic links (of a
   * procfs) are refused. What is missing is made: directories 0755 of root, and an empty file for a file.
   * openat2(2), Linux 5.6
   */
  openTarget(group: StepGroup, path: string, kind: TargetKind, options: TargetOptions = {}): Slot {
    const target = options.result ?? slot(path);
    const parts = splitPath(path);
    if (parts.length === 0) {
      this.add({
        label: "Open the root directory",
        group,
        syscall: "openat",
        args: [this.root, ".", O_PATH | O_CLOEXEC],
        result: target,
      });
      return target;
    }
    const open = openInRoot(this.root, parts.join("/"), kind === "directory" ? O_DIRECTORY : 0, options);
    const creation =
      options.create === false ? [] : this.#creationSteps(group, splitPath(options.createAt ?? path), kind, target);
    const { hints } = options;
    const find: Step = {
      label: `Find ${path} in the container`,
      group,
      syscall: "openat2",
      args: open,
      result: target,
      path,
      ...(hints !== undefined && { hints }),
    };
    if (creation.length === 0 || creation.length > mostSkipped) {
      this.add(find);
      return target;
    }
    this.add({ ...find, onError: { tolerate: ["ENOENT"] }, onSuccess: { skip: creation.length } });
    for (const step of creation) this.add(step);
    return target;
  }

  /** As {@link openTarget}, for a place that is to fit a mount which only the running plan has seen. */
  openTargetFor(group: StepGroup, mount: Slot, path: string, options: TargetOptions): Slot {
    const result = slot(path);
    const [asDirectory, asFile] = (["directory", "file"] as const).map((kind) => {
      const branch = new PlanBuilder(this.root);
      branch.openTarget(group, path, kind, { ...options, result });
      return branch.steps;
    }) as [Step[], Step[]];
    const directory = this.addFor("directory to mount", {
      label: `Look whether what comes to ${path} is a directory`,
      group,
      syscall: "openat",
      args: [mount, ".", O_PATH | O_DIRECTORY | O_CLOEXEC],
      onError: { tolerate: ["ENOTDIR"], skip: asDirectory.length + 1 },
      path,
    });
    for (const step of asDirectory) this.add(step);
    this.add({
      label: "It is one",
      group,
      syscall: "close",
      args: [directory],
      onSuccess: { skip: asFile.length },
      path,
    });
    for (const step of asFile) this.add(step);
    return result;
  }

  /** Each directory on the way is made in its parent, by name alone: mkdirat does not follow a link in the last place. */
  #creationSteps(group: StepGroup, parts: readonly string[], kind: TargetKind, target: Slot): Step[] {
    const steps: Step[] = [];
    const directories = kind === "directory" ? parts : parts.slice(0, -1);
    directories.forEach((name, index) => {
      const made = parts.slice(0, index + 1);
      const path = `/${made.join("/")}`;
      steps.push(
        {
          label: `Make the directory ${path}`,
          group,
          syscall: "mkdirat",
          args: [index === 0 ? this.root : target, name, 0o755],
          onError: { tolerate: ["EEXIST"] },
          path,
        },
        {
          label: `Open ${path}`,
          group,
          syscall: "openat2",
          args: openInRoot(this.root, made.join("/"), O_DIRECTORY),
          result: target,
          path,
        },
      );
    });
    if (kind === "directory") return steps;
    steps.push(...this.#fileSteps(group, parts, target));
    return steps;
  }

  /**
   * By mknodat, which neither follows a link nor opens what is there: a pipe that somebody else has put there would keep
   * the plan waiting. A dangling link that a mount has brought is followed as far as the root goes.
   */
  #fileSteps(group: StepGroup, parts: readonly string[], target: Slot): Step[] {
    const path = `/${parts.join("/")}`;
    const below = parts.join("/");
    const open: Step = {
      label: `Open ${path}`,
      group,
      syscall: "openat2",
      args: openInRoot(this.root, below, 0),
      result: target,
      path,
    };
    const how = openHow(O_WRONLY | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0o644, resolveInRoot);
    const made = slot(`new ${path}`);
    const byLink: Step[] = [
      {
        label: `Make the file that the link ${path} leads to`,
        group,
        syscall: "openat2",
        args: [this.root, below, how, openHowSize],
        result: made,
        path,
      },
      // A file that is open for writing keeps its file system from becoming read-only.
      { label: `Close ${path}`, group, syscall: "close", args: [made], path },
      open,
    ];
    return [
      {
        label: `Make the file ${path}`,
        group,
        syscall: "mknodat",
        args: [parts.length === 1 ? this.root : target, parts.at(-1) ?? "", S_IFREG | 0o644, 0],
        onError: { tolerate: ["EEXIST"] },
        path,
      },
      { ...open, onError: { tolerate: ["ENOENT"] }, onSuccess: { skip: byLink.length } },
      ...byLink,
    ];
  }

  /** Makes a directory in one that the plan itself mounted, and opens it. */
  makeDirectoryIn(group: StepGroup, parent: Slot, name: string, path: string): Slot {
    this.add({
      label: `Make the directory ${path}`,
      group,
      syscall: "mkdirat",
      args: [parent, name, 0o755],
      onError: { tolerate: ["EEXIST"] },
      path,
    });
    return this.addFor(path, {
      label: `Open ${path}`,
      group,
      syscall: "openat",
      args: [parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC],
      path,
    });
  }
}

/** How many steps one can leave out, with their clock readings: what is 60 directories deep must be there already. */
const mostSkipped = 120;

const mountAttributesSize = 32;

function mountAttributes(set: number, clear: number, propagation: number, userNamespace: number): Uint8Array {
  return new Uint8Array(
    new BigUint64Array([BigInt(set), BigInt(clear), BigInt(propagation), BigInt(userNamespace)]).buffer,
  );
}

const openHowSize = 24;
const resolveInRoot = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;

/** The arguments of an openat2 that stays below `root`; the descriptor serves as a place only (O_PATH). */
export function openInRoot(
  root: Slot,
  path: string,
  flags: number,
  options: { readonly noSymlinks?: boolean } = {},
): Step["args"] {
  const resolve = resolveInRoot | (options.noSymlinks === true ? RESOLVE_NO_SYMLINKS : 0);
  return [root, path, openHow(O_PATH | O_CLOEXEC | flags, 0, resolve), openHowSize];
}

/** The arguments of an openat2 that stays below `root` and opens the file for use. */
export function openFileInRoot(root: Slot, path: string, flags: number): Step["args"] {
  return [root, path, openHow(flags | O_CLOEXEC, 0, resolveInRoot), openHowSize];
}

/** The arguments of an openat2 of a file of the very file system that `root` is the root of, without any link. */
export function openBeneath(root: Slot, path: string, flags: number): Step["args"] {
  const resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
  return [root, path, openHow(flags | O_CLOEXEC, 0, resolve), openHowSize];
}

/** A `struct open_how`. openat2(2) */
function openHow(flags: number, mode: number, resolve: number): Uint8Array {
  return new Uint8Array(new BigUint64Array([BigInt(flags), BigInt(mode), BigInt(resolve)]).buffer);
}
