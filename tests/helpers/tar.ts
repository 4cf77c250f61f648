/** A member for {@link makeTar}: what is left out has a plain default. */
export interface TarMemberInput {
  /** Byte string ("latin1"). */
  readonly name: string;
  /** The header's type letter; `0`, or `5` when the name ends with a slash. */
  readonly type?: string;
  readonly content?: string | Uint8Array;
  /** The header's size, where it differs from the content's. */
  readonly size?: number;
  readonly link?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly major?: number;
  readonly minor?: number;
  /** Records of a PAX header in front of the member; values are byte strings. */
  readonly pax?: Readonly<Record<string, string>>;
  /** The nine bytes from 257 on; ustar's unless given. */
  readonly magic?: string;
  /** Changes the header before its checksum is made. */
  readonly patch?: (header: Buffer) => void;
}

/** A tar archive with what tests need and tar programs refuse to write. Ends with two blocks of zeros. */
export function makeTar(members: readonly TarMemberInput[]): Buffer {
  return Buffer.concat([...members.map(makeMember), Buffer.alloc(1024)]);
}

/** One member without the end of the archive. */
export function makeMember(member: TarMemberInput): Buffer {
  const content = toBytes(member.content ?? "");
  const parts: Buffer[] = [];
  if (member.pax !== undefined) {
    const records = paxRecords(member.pax);
    parts.push(makeHeader({ name: "PaxHeaders/x", type: "x" }, records.length), padded(records));
  }
  parts.push(makeHeader(member, member.size ?? content.length), padded(content));
  return Buffer.concat(parts);
}

/** The records of a PAX header, with their lengths. */
export function paxRecords(records: Readonly<Record<string, string>>): Buffer {
  return Buffer.concat(Object.entries(records).map(([key, value]) => paxRecord(key, value)));
}

function paxRecord(key: string, value: string): Buffer {
  const rest = Buffer.from(` ${key}=${value}\n`, "latin1");
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

/** Fills up to whole blocks. */
export function padded(content: Uint8Array): Buffer {
  return Buffer.concat([content, Buffer.alloc(-content.length & 511)]);
}

function makeHeader(member: TarMemberInput, size: number): Buffer {
  const header = Buffer.alloc(512);
  const octal = (value: number, at: number, length: number) => {
    header.write(`${value.toString(8).padStart(length - 1, "0")}\0`, at, "latin1");
  };
  header.write(member.name.slice(0, 100), 0, "latin1");
  octal(member.mode ?? (member.name.endsWith("/") ? 0o755 : 0o644), 100, 8);
  octal(member.uid ?? 0, 108, 8);
  octal(member.gid ?? 0, 116, 8);
  octal(size, 124, 12);
  octal(member.mtime ?? 1_000_000_000, 136, 12);
  header.write(member.type ?? (member.name.endsWith("/") ? "5" : "0"), 156, "latin1");
  header.write((member.link ?? "").slice(0, 100), 157, "latin1");
  header.write(member.magic ?? "ustar\x0000", 257, "latin1");
  octal(member.major ?? 0, 329, 8);
  octal(member.minor ?? 0, 337, 8);
  member.patch?.(header);
  header.fill(" ", 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return header;
}

function toBytes(content: string | Uint8Array): Uint8Array {
  return typeof content === "string" ? Buffer.from(content, "latin1") : content;
}
