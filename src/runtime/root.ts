/** What becomes the container's root directory. */
export type RootFileSystem = OverlayRoot | DirectoryRoot;

/** An overlay of an image's layers and a directory of the container's own. Kernel documentation, overlayfs.rst */
export interface OverlayRoot {
  readonly kind: "overlay";
  /** The directory below which all the others lie; their paths are relative to it. */
  readonly base: string;
  /** The layers, lowest first; at least one. */
  readonly lower: readonly string[];
  readonly upper: string;
  readonly work: string;
  /** An empty directory, over which the overlay is mounted in the container's mount namespace. */
  readonly target: string;
  /** Nothing of the upper directory needs to survive a crash: the container is removed when it ends. Linux 5.10 */
  readonly volatile: boolean;
  /** The kernel takes layers one by one (Linux 6.7); else they go into the one page of mount(2)'s options. */
  readonly layersOneByOne: boolean;
  /** Images whose files show at other places of the store, in the container's mount namespace alone: it has mounts of them. */
  readonly images?: readonly ImageOverlay[];
}

/** What {@link OverlayRoot} says of an image that is mounted; its paths are relative to the same base. */
export interface ImageOverlay {
  /** Lowest first; at least two. */
  readonly lower: readonly string[];
  /** A directory of the host that the files cover. */
  readonly target: string;
}

/** A directory that is there already: the root of an OCI bundle. */
export interface DirectoryRoot {
  readonly kind: "directory";
  /** Absolute, of the host. */
  readonly path: string;
}
