/**
 * Extended attributes by which a layer's directory says what it is. overlayfs shows none whose name begins with
 * `trusted.overlay.`, takes no notice of those that it does not know, and copies none up: so gocker's own are there too.
 * overlayfs.rst
 */

/** The value of each attribute that is set. */
export const yes: Uint8Array = Buffer.from("y");

/** The directory hides what lower layers have in theirs. */
export const opaqueAttribute = "trusted.overlay.opaque";

/**
 * The layer has files in the directory and says nothing of the directory itself: owner, mode, attributes and times are
 * those of the next lower layer that has it.
 */
export const impliedAttribute = "trusted.overlay.gocker.implied";

/** On a layer's root: there are directories with {@link impliedAttribute} below it. */
export const incompleteAttribute = "trusted.overlay.gocker.incomplete";
