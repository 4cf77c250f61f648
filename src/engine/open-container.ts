import type { ClaimedContainer } from "../container/claim.ts";
import { openContainer, type OpenContainer } from "../container/open.ts";
import { StorePaths } from "../image/paths.ts";
import type { Digest } from "../oci/digest.ts";

/** Opens a container that does not run, to start it. @param root gocker's root directory @throws as `openContainer` */
export function openStored(root: string, { directory, record }: ClaimedContainer): OpenContainer {
  const paths = new StorePaths(root);
  return openContainer({ root, directory, record, layerDirectory: (diffId) => paths.layer(diffId as Digest) });
}
