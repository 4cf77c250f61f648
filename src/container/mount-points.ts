import { chmodSync, lstatSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";

const directories = ["dev", "etc", "proc", "sys"];
const files = ["etc/hostname", "etc/hosts", "etc/resolv.conf"];

/** Many programs look for the mounts here, those in Java among them. Docker gives it to images without one, too. */
const link = { name: "etc/mtab", target: "/proc/mounts" };

/**
 * A directory with what every container has, and mostly mounts something on: the lowest layer of all. Images mostly have
 * it; for those that do not, nothing needs to be made in each container's own layer, nor removed with it.
 * @param containers the directory of all containers; what is missing there is made, once for good
 * @returns an absolute path
 */
export function mountPointLayer(containers: string): string {
  const layer = `${containers}/.mount-points`;
  if (lstatSync(`${layer}/${link.name}`, { throwIfNoEntry: false }) !== undefined) return layer;
  // The link comes last and says that the layer is whole: a gocker that dies before leaves what the next one completes, and
  // two at once make the same. Modes are set afterwards, as the umask narrows what is made.
  mkdirSync(layer, { recursive: true, mode: 0o700 });
  for (const name of directories) {
    mkdirSync(`${layer}/${name}`, { recursive: true });
    chmodSync(`${layer}/${name}`, 0o755);
  }
  for (const name of files) {
    writeFileSync(`${layer}/${name}`, "");
    chmodSync(`${layer}/${name}`, 0o644);
  }
  chmodSync(layer, 0o755);
  try {
    symlinkSync(link.target, `${layer}/${link.name}`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  return layer;
}
