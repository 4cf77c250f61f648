import { chmodSync, mkdirSync, statSync, writeFileSync } from "node:fs";

const directories = ["dev", "etc", "proc", "sys"];
const files = ["etc/hostname", "etc/hosts", "etc/resolv.conf"];

/**
 * A directory with nothing but the places where every container has something mounted: the lowest layer of all. Images
 * mostly have them; for those that do not, nothing needs to be made in each container's own layer, nor removed with it.
 * @param containers the directory of all containers; what is missing there is made, once for good
 * @returns an absolute path
 */
export function mountPointLayer(containers: string): string {
  const layer = `${containers}/.mount-points`;
  const whole = 0o755;
  const found = statSync(layer, { throwIfNoEntry: false });
  if (found !== undefined && (found.mode & 0o777) === whole) return layer;
  // The layer's own mode comes last and says that it is whole: a gocker that dies before leaves what the next one
  // completes, and two at once make the same. Modes are set afterwards, as the umask narrows what is made.
  mkdirSync(layer, { recursive: true, mode: 0o700 });
  for (const name of directories) {
    mkdirSync(`${layer}/${name}`, { recursive: true });
    chmodSync(`${layer}/${name}`, 0o755);
  }
  for (const name of files) {
    writeFileSync(`${layer}/${name}`, "");
    chmodSync(`${layer}/${name}`, 0o644);
  }
  chmodSync(layer, whole);
  return layer;
}
