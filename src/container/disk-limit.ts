import { existsSync } from "node:fs";
import { openDirectory } from "../linux/at.ts";
import { hasProjectQuotas, joinProject, limitProject, projectOf, projectUse } from "../linux/project-quota.ts";
import { GockerError, UsageError } from "../util/errors.ts";

/** Projects of gocker's are in the upper half of the numbers, where nobody gives them by hand. projects(5) */
const firstProject = 0x8000_0000;
const projectCount = 0x7fff_fff0;

/** In an unlucky moment a number is taken. That a hundred are is no bad luck. */
const attempts = 100;

/**
 * Makes sure that what containers write below a directory can be limited (`--storage-opt size=`).
 * @throws UsageError its file system has no quotas of projects; SystemCallError
 */
export function checkDiskLimit(directory: string): void {
  using place = openDirectory(directory);
  if (hasProjectQuotas(place)) return;
  throw new UsageError(`--storage-opt size cannot be kept: the file system of ${directory} has no project quotas`, {
    hint: "they need ext4 or XFS, mounted with the option prjquota, and Linux 5.14",
  });
}

/**
 * Limits what is written in a container's directories, which are empty, together: they become a project with a quota. The
 * kernel's account of the project is the only one; `releaseDisk` reads the number from the directory.
 * @param directories of one file system
 * @param bytes of the blocks on the disk
 * @throws SystemCallError
 */
export function limitDisk(directories: readonly [string, ...string[]], bytes: number): void {
  using opened = new DisposableStack();
  const members = directories.map((path) => opened.use(openDirectory(path)));
  const [first] = members as [(typeof members)[0]];
  for (let attempt = 0; attempt < attempts; attempt++) {
    const project = firstProject + Math.floor(Math.random() * projectCount);
    const before = projectUse(first, project);
    if (before.files > 0 || before.limit > 0) continue;
    for (const member of members) joinProject(member, project);
    // Two who choose one number at once are both in it by now, and both see it.
    if (projectUse(first, project).files !== members.length) continue;
    limitProject(first, project, bytes);
    return;
  }
  throw new GockerError("STATE", `no free number for a project of quotas was found in ${attempts} attempts`);
}

/**
 * Forgets the limit of a directory's project, before the directory is removed: what it was of is not told afterwards.
 * @throws SystemCallError
 */
export function releaseDisk(directory: string): void {
  // Who made the container may have been killed before.
  if (!existsSync(directory)) return;
  using opened = openDirectory(directory);
  // gocker's root directory may have been moved to another file system.
  if (!hasProjectQuotas(opened)) return;
  const project = projectOf(opened);
  if (project >= firstProject) limitProject(opened, project, 0);
}
