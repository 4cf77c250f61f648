import type { TarEntry } from "../../src/image/layer/tar/entry.ts";
import { TarReader } from "../../src/image/layer/tar/reader.ts";

/** A member with its content: pieces and where they belong. */
export interface ListedMember {
  readonly entry: TarEntry;
  readonly pieces: { position: number; bytes: Buffer }[];
}

/** Reads a whole archive, in chunks of `chunkSize` bytes. Throws what the reader throws. */
export function listTar(archive: Uint8Array, chunkSize = archive.length): ListedMember[] {
  const members: ListedMember[] = [];
  const reader = new TarReader({
    entry(entry) {
      members.push({ entry, pieces: [] });
    },
    content(bytes, position) {
      members.at(-1)?.pieces.push({ position, bytes: Buffer.from(bytes) });
    },
    end(entry) {
      if (members.at(-1)?.entry !== entry) throw new Error("the end of another member");
    },
  });
  for (let at = 0; at < archive.length; at += chunkSize) reader.write(archive.subarray(at, at + chunkSize));
  reader.finish();
  return members;
}

/** The content of a member with its holes as zeros. For small ones. */
export function contentOf({ entry, pieces }: ListedMember): string {
  const content = Buffer.alloc(entry.size);
  for (const { position, bytes } of pieces) content.set(bytes, position);
  return content.toString("latin1");
}
