import { capabilitiesIn } from "../linux/capabilities.ts";
import { readBelow } from "../linux/read-below.ts";
import type { WindowSize } from "../linux/terminal.ts";
import type { Process, RuntimeSpec } from "../oci/runtime-spec.ts";
import { InvalidDocumentError } from "../util/errors.ts";
import { buildEnvironment } from "./environment.ts";
import type { ContainerRecord } from "./record.ts";
import { processCapabilities } from "./spec.ts";
import { type FileReader, readUserDatabase, resolveUser, type UserDatabase } from "./user.ts";

/** What a further process of a container is asked to be. */
export interface ExecWishes {
  /** The program and its arguments: one word or more. */
  readonly command: readonly string[];
  readonly terminal: boolean;
  /** From `resolveUserEnvironment`. */
  readonly environment: readonly string[];
  /** The container's when absent; forms as `resolveUser` takes them. */
  readonly user?: string | undefined;
  /** Absolute; the container's when absent. */
  readonly workingDirectory?: string | undefined;
  /** With all capabilities. */
  readonly privileged: boolean;
}

/** What {@link buildExecProcess} brings together. */
export interface ExecProcessInput {
  readonly wishes: ExecWishes;
  readonly record: Pick<ContainerRecord, "user" | "groupAdd" | "environment">;
  /** Of the container. */
  readonly spec: RuntimeSpec;
  /** As the container's files have it now. */
  readonly database: UserDatabase;
  /** The set that can be given at all: see `availableCapabilities`. */
  readonly availableCapabilities: bigint;
  /** Lines and columns of the user's terminal, when there is one. */
  readonly consoleSize?: WindowSize | undefined;
}

/**
 * A further process of a container, in the words of the specification: the container's own with what is asked for.
 * @throws UnknownUserError, UsageError: see `resolveUser`; InvalidDocumentError the container has no process
 */
export function buildExecProcess(input: ExecProcessInput): Process {
  const { wishes, record, spec } = input;
  if (spec.process === undefined) throw new InvalidDocumentError("process: the container has none");
  const { consoleSize: _, ...own } = spec.process;
  const { user, home } = userOf(input);
  const bounding = wishes.privileged ? capabilitiesIn(input.availableCapabilities) : (own.capabilities?.bounding ?? []);
  return {
    ...own,
    terminal: wishes.terminal,
    ...(wishes.terminal && input.consoleSize !== undefined && { consoleSize: input.consoleSize }),
    user,
    args: [...wishes.command],
    env: buildEnvironment({
      hostname: spec.hostname ?? "",
      terminal: wishes.terminal,
      image: record.environment ?? own.env ?? [],
      user: wishes.environment,
      home,
    }),
    cwd: wishes.workingDirectory ?? own.cwd,
    capabilities: processCapabilities(bounding, user),
  };
}

/** As whom it runs. One that nobody has named is root, with the groups that it was given when the container was made. */
function userOf({ wishes, record, spec, database }: ExecProcessInput): {
  readonly user: Process["user"];
  readonly home: string;
} {
  const own = spec.process?.user ?? { uid: 0, gid: 0 };
  const wanted = wishes.user ?? record.user;
  const { uid, gid, additionalGids, home } = resolveUser(wanted ?? String(own.uid), record.groupAdd ?? [], database);
  return { user: wanted === undefined ? own : { uid, gid, additionalGids: [...additionalGids] }, home };
}

/** The users of a container that runs, by a descriptor of its root directory. @throws GockerError a file is too large */
export function usersBelow(root: number): UserDatabase {
  const files: FileReader = { readFile: (path, limit) => readBelow(root, path, limit) };
  return readUserDatabase(files);
}
