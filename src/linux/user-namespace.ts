import { InvalidDocumentError } from "../util/errors.ts";
import { AT_FDCWD, O_CLOEXEC, O_WRONLY } from "./constants.ts";
import { errnos, systemCallError } from "./errno.ts";
import { OwnedFd } from "./fd.ts";
import { errno, libc } from "./libc.ts";
import { readIfThere } from "../util/read-if-there.ts";

/** So many IDs from `containerID` on stand, in a user namespace, for those from `hostID` on. user_namespaces(7) */
export interface IdRange {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

/** 2^32-1 is no ID: to system calls it says "leave it as it is". */
const lastId = 0xffff_fffe;

/** user_namespaces(7): the lines of a map since Linux 4.15; and all must come in one write shorter than a page. */
const mostRanges = 340;
const pageSize = 4096;

/**
 * Refuses mappings that the kernel would not take.
 * @param property their place in the document, such as `linux.uidMappings`
 * @throws InvalidDocumentError
 */
export function checkIdMappings(mappings: readonly IdRange[], property: string): void {
  if (mappings.length === 0) throw new InvalidDocumentError(`${property}: a user namespace needs at least one mapping`);
  if (mappings.length > mostRanges) {
    throw new InvalidDocumentError(`${property}: ${mappings.length} mappings, the kernel takes ${mostRanges}`);
  }
  for (let index = 0; index < mappings.length; index++) {
    const mapping = mappings[index] as IdRange;
    const place = `${property}[${index}]`;
    checkRange(mapping, place);
    for (let other = 0; other < index; other++) {
      for (const side of ["containerID", "hostID"] as const) {
        if (!overlap(mapping, mappings[other] as IdRange, side)) continue;
        throw new InvalidDocumentError(`${place}.${side}: overlaps with ${property}[${other}]`);
      }
    }
  }
  if (idMapText(mappings).length >= pageSize) {
    throw new InvalidDocumentError(`${property}: longer than the page of memory that the kernel takes`);
  }
}

function checkRange(mapping: IdRange, place: string): void {
  for (const name of ["containerID", "hostID", "size"] as const) {
    const value = mapping[name];
    if (!Number.isInteger(value) || value < 0 || value > lastId + 1) {
      throw new InvalidDocumentError(`${place}.${name}: ${String(value)} is no number of 32 bits`);
    }
  }
  const { size } = mapping;
  if (size === 0) throw new InvalidDocumentError(`${place}.size: 0 maps nothing`);
  for (const side of ["containerID", "hostID"] as const) {
    if (mapping[side] + size - 1 <= lastId) continue;
    throw new InvalidDocumentError(`${place}: ${size} IDs from ${side} ${mapping[side]} on go beyond ${lastId}`);
  }
}

function overlap(one: IdRange, other: IdRange, side: "containerID" | "hostID"): boolean {
  return one[side] < other[side] + other.size && other[side] < one[side] + one.size;
}

/** The ID of the host that one of the container stands for; undefined when it stands for none. */
export function hostIdOf(id: number, mappings: readonly IdRange[]): number | undefined {
  for (const { containerID, hostID, size } of mappings) {
    if (id >= containerID && id < containerID + size) return hostID + id - containerID;
  }
  return undefined;
}

/** The mappings of a user namespace, as a process outside of it sees them. */
export interface IdMappings {
  readonly uids: readonly IdRange[];
  readonly gids: readonly IdRange[];
}

/**
 * The mappings of the user namespace that a process is in. user_namespaces(7)
 * @returns undefined when there is no such process
 */
export function idMappingsOf(pid: number): IdMappings | undefined {
  const read = (name: string) => readIfThere(`/proc/${pid}/${name}`);
  const [uids, gids] = [read("uid_map"), read("gid_map")];
  return uids === undefined || gids === undefined ? undefined : { uids: parseIdMap(uids), gids: parseIdMap(gids) };
}

/** @param text of /proc/PID/uid_map or gid_map */
export function parseIdMap(text: string): IdRange[] {
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const [containerID = 0, hostID = 0, size = 0] = line.trim().split(/\s+/).map(Number);
      return { containerID, hostID, size };
    });
}

/** Mappings as the kernel's files have them: a line each. */
export function idMapText(mappings: readonly IdRange[]): string {
  return mappings.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join("");
}

/** What a kernel without user namespaces would say of any process. */
const wholeMap = "0 0 4294967295";

/** Whether gocker is in another user namespace than the host's first one. user_namespaces(7) */
export function runsInUserNamespace(map = readIfThere("/proc/self/uid_map") ?? wholeMap): boolean {
  return !/^\s*0\s+0\s+4294967295\s*$/.test(map);
}

/**
 * Whether nobody in the user namespace of a process may set supplementary groups. user_namespaces(7), Linux 3.19
 * @param pid of the process, or gocker's own
 */
export function deniesSetgroups(pid: number | "self"): boolean {
  return readIfThere(`/proc/${pid}/setgroups`)?.trim() === "deny";
}

/**
 * Takes the right to set groups from a user namespace that was just made, for good: the condition on which who is not
 * root may map a group. Process as for {@link writeIdMappings}.
 * @throws SystemCallError
 */
export function denySetgroups(pid: number): void {
  writeMap(pid, "setgroups", "deny");
}

/**
 * Maps the IDs of a user namespace that was just made, which can be done once. By whoever is outside of it.
 * @param pid a process in it that cannot end and give its number to another meanwhile: a child not yet waited for
 * @throws SystemCallError
 */
export function writeIdMappings(pid: number, uidMappings: readonly IdRange[], gidMappings: readonly IdRange[]): void {
  writeMap(pid, "uid_map", idMapText(uidMappings));
  writeMap(pid, "gid_map", idMapText(gidMappings));
}

function writeMap(pid: number, name: string, text: string): void {
  const path = `/proc/${pid}/${name}`;
  const bytes = Buffer.from(text);
  const fail = (syscall: string): never => {
    const number = errno();
    const hint =
      number === errnos.EPERM
        ? "gocker must have these IDs in its own user namespace, and the capabilities CAP_SETUID and CAP_SETGID"
        : undefined;
    throw systemCallError(syscall, { step: "map the IDs of the user namespace", path, hint }, number);
  };
  const fd = libc.openat(AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
  if (fd < 0) fail("open");
  using file = new OwnedFd(fd);
  if (Number(libc.write(file.number, bytes, bytes.length)) !== bytes.length) fail("write");
}
