import { chmodSync, lstatSync, mkdirSync } from "node:fs";
import { GockerError } from "../../util/errors.ts";
import { ownCaller, type RootlessCaller } from "./rootless.ts";

/** The value of `--root`, absolute: some commands change the directory for what they start. Undefined when there is none. */
export function givenStateRoot(root: string | undefined): string | undefined {
  if (root === undefined || root === "") return undefined;
  return root.startsWith("/") ? root : `${process.cwd()}/${root}`;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Where states are kept when nobody says where. */
export interface StatePlace {
  readonly path: string;
  /** It lies where others may write, or is emptied now and then, and is made with care. */
  readonly isUsers: boolean;
}

/**
 * Root's is the host's. Everybody else has one of their own: in `XDG_RUNTIME_DIR`, which ends with the user's last session;
 * without that in a directory of /tmp, where nobody else can put another in its place. In a user namespace that is
 * root's only by name, the environment tells, as with runc.
 */
export function placeOfStates(environment: Environment, caller: RootlessCaller, uid: number): StatePlace {
  const given = environment["GOCKER_STATE"];
  if (given !== undefined && given !== "") return { path: given, isUsers: false };
  const isHosts = caller.isRoot && (!caller.isInUserNamespace || environment["USER"] === "root");
  const runtime = environment["XDG_RUNTIME_DIR"] ?? "";
  if (!isHosts && runtime.startsWith("/")) return { path: `${runtime}/gocker`, isUsers: true };
  return caller.isRoot ? { path: "/run/gocker", isUsers: false } : { path: `/tmp/gocker-${uid}`, isUsers: true };
}

/**
 * The root directory of states that is used without `--root`.
 * @throws GockerError others could change what is in there
 */
export function defaultStateRoot(): string {
  const uid = process.geteuid?.() ?? 0;
  const { path, isUsers } = placeOfStates(process.env, ownCaller(), uid);
  if (isUsers) makePrivate(path, uid);
  return `${path}/oci`;
}

/**
 * A directory that is the user's alone. The sticky bit keeps what is in there for as long as the user has sessions.
 * XDG Base Directory Specification, XDG_RUNTIME_DIR
 */
export function makePrivate(path: string, uid: number): void {
  try {
    mkdirSync(path, { mode: 0o700 });
    chmodSync(path, 0o1700);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") {
      checkPrivate(path, uid);
      return;
    }
    throw new GockerError(
      "STATE_ROOT",
      `the containers' states cannot be kept in ${path}: ${(error as Error).message}`,
      {
        hint: "set XDG_RUNTIME_DIR to a directory of your own, or name one with --root",
        cause: error,
      },
    );
  }
}

function checkPrivate(path: string, uid: number): void {
  const found = lstatSync(path);
  if (found.isDirectory() && found.uid === uid && (found.mode & 0o022) === 0) return;
  const what = found.isDirectory() ? "is another user's, or others may write to it" : "is no directory";
  throw new GockerError("STATE_ROOT", `the containers' states cannot be kept in ${path}, which ${what}`, {
    hint: "remove it, set XDG_RUNTIME_DIR to a directory of your own, or name one with --root",
  });
}
