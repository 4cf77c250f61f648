import type { Decompressor } from "../image/layer/decompress/decompressor.ts";
import { createDecompressor, magicSize } from "../image/layer/decompress/detect.ts";
import { TarReader } from "../image/layer/tar/reader.ts";
import { ConflictError, InvalidDocumentError, SystemCallError } from "../util/errors.ts";
import { containerEvent } from "../container/events.ts";
import { openDirectory } from "../linux/at.ts";
import { errnos } from "../linux/errno.ts";
import { TreeMerger } from "../linux/merge-tree.ts";
import type { EngineContext } from "./context.ts";
import { type ContainerFiles, openContainerFiles } from "./copy/container-files.ts";
import { packEntry } from "./copy/pack.ts";
import { openDirectoryAt, openSource, openTarget, type Place } from "./copy/place.ts";
import { Unpacker } from "./copy/unpack.ts";
import { recordEvent } from "./record-event.ts";

type CopyContext = Pick<EngineContext, "root" | "state" | "debug">;

/** A path in a container; relative ones are from its root. */
export interface ContainerPath {
  /** The container's name, ID, or the beginning of its ID. */
  readonly container: string;
  readonly path: string;
}

export interface CopyOptions {
  /** Keep owners, and the rights that come with them; else copies belong to root in a container, to the caller outside. */
  readonly archive: boolean;
  /** A link at the end of the source's path stands for what it leads to. */
  readonly followLink: boolean;
  /** Told of what is left out, in words. */
  readonly onLeftOut: (what: string) => void;
}

/**
 * Copies out of a container, whether or not it runs.
 * @param to an absolute path of the host
 * @returns how many bytes of files were copied
 * @throws NotFoundError, ConflictError, UsageError by docker's rules for paths; SystemCallError
 */
export async function copyFromContainer(
  context: CopyContext,
  from: ContainerPath,
  to: string,
  options: CopyOptions,
): Promise<bigint> {
  await using files = await openContainerFiles(context, from.container);
  using root = openDirectory("/");
  const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  const bytes = copyTree(placeIn(files, from), { root, path: to, name: to, isHost: true }, owner, options);
  recordEvent(context, containerEvent(files.record, "archive-path"));
  return bytes;
}

/** Copies into a container. @param from an absolute path of the host. @throws as {@link copyFromContainer} */
export async function copyToContainer(
  context: CopyContext,
  from: string,
  to: ContainerPath,
  options: CopyOptions,
): Promise<bigint> {
  await using files = await openContainerFiles(context, to.container);
  using root = openDirectory("/");
  const bytes = await writing(to, async () =>
    copyTree({ root, path: from, name: from, isHost: true }, placeIn(files, to), rootUser, options),
  );
  recordEvent(context, containerEvent(files.record, "extract-to-dir"));
  return bytes;
}

const rootUser = { uid: 0, gid: 0 };

/** @throws ConflictError what `write` works on cannot be written to */
async function writing<Result>({ container, path }: ContainerPath, write: () => Promise<Result>): Promise<Result> {
  try {
    return await write();
  } catch (cause) {
    if (!(cause instanceof SystemCallError) || cause.errno !== errnos.EROFS) throw cause;
    const message = `cannot write to ${container}:${path}: what the container has there is read-only`;
    throw new ConflictError(message, { cause });
  }
}

function copyTree(
  from: Place,
  to: Place,
  owner: { readonly uid: number; readonly gid: number },
  { archive, followLink, onLeftOut }: CopyOptions,
): bigint {
  using source = openSource(from, followLink);
  using target = openTarget(to, source);
  const merger = new TreeMerger(target.directory, { owner: archive ? undefined : owner, onLeftOut });
  const { entry } = source;
  if (target.name !== undefined) merger.copyEntry(entry, target.directory, target.name);
  else if (entry.kind === "directory") merger.copyContents(entry, target.directory);
  return merger.bytes;
}

/**
 * Packs a path of a container into a tar archive.
 * @param write takes the archive's bytes, which are only valid during the call
 * @throws NotFoundError, UsageError; SystemCallError; what `write` throws
 */
export async function packFromContainer(
  context: CopyContext,
  from: ContainerPath,
  write: (bytes: Uint8Array) => void,
  { followLink, onLeftOut }: Omit<CopyOptions, "archive">,
): Promise<void> {
  await using files = await openContainerFiles(context, from.container);
  using source = openSource(placeIn(files, from), followLink);
  packEntry(source.entry, source.name, write, onLeftOut);
  recordEvent(context, containerEvent(files.record, "archive-path"));
}

/**
 * Unpacks a tar archive into a directory of a container. Owners and modes are the archive's.
 * @param archive plain, or packed with gzip or zstd; each chunk is only looked at until the next one is asked for
 * @returns how many bytes of files were unpacked
 * @throws NotFoundError there is no such directory; InvalidDocumentError, ConflictError, SystemCallError
 */
export async function unpackToContainer(
  context: CopyContext,
  archive: Iterable<Uint8Array>,
  to: ContainerPath,
): Promise<bigint> {
  await using files = await openContainerFiles(context, to.container);
  const place = placeIn(files, to);
  openDirectoryAt(place).close();
  using unpacker = new Unpacker(files.root, place.path);
  try {
    await writing(to, () => readArchive(archive, new TarReader(unpacker)));
  } catch (error) {
    if (!(error instanceof InvalidDocumentError)) throw error;
    const hint = "what stands before that in the archive has been unpacked";
    throw new InvalidDocumentError(error.message, { cause: error, hint });
  }
  unpacker.finish();
  recordEvent(context, containerEvent(files.record, "extract-to-dir"));
  return BigInt(unpacker.bytes);
}

function placeIn({ root }: ContainerFiles, { container, path }: ContainerPath): Place {
  return { root, path: path === "" ? "/" : path, name: `${container}:${path}` };
}

async function readArchive(archive: Iterable<Uint8Array>, reader: TarReader): Promise<void> {
  let head: Uint8Array = new Uint8Array(0);
  let begun: Decompressor | undefined;
  const begin = async () => {
    begun = await createDecompressor(head, (bytes) => reader.write(bytes));
    await begun.write(head);
  };
  try {
    for (const chunk of archive) {
      if (begun !== undefined) await begun.write(chunk);
      else {
        head = Buffer.concat([head, chunk]);
        if (head.length >= magicSize) await begin();
      }
    }
    if (begun === undefined) await begin();
    await begun?.finish();
  } finally {
    begun?.[Symbol.dispose]();
  }
  reader.finish();
}
