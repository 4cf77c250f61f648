import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { newContainerId } from "./ids.ts";

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
  if (existsSync(layer)) return layer;
  const unfinished = `${layer}-${newContainerId()}`;
  mkdirSync(unfinished);
  for (const name of directories) mkdirSync(`${unfinished}/${name}`);
  for (const name of files) writeFileSync(`${unfinished}/${name}`, "");
  // Afterwards: the umask of whoever happens to be the first narrows what is made.
  for (const name of ["", ...directories]) chmodSync(`${unfinished}/${name}`, 0o755);
  for (const name of files) chmodSync(`${unfinished}/${name}`, 0o644);
  try {
    renameSync(unfinished, layer);
  } catch (error) {
    rmSync(unfinished, { recursive: true });
    // Another gocker was faster.
    if (!existsSync(layer)) throw error;
  }
  return layer;
}
