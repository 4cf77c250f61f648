/** The parts of an ELF file (elf(5)) that the build looks at. Only 64-bit little-endian, which all targets are. */
export interface ElfFile {
  /** `e_machine`: 62 is x86-64, 183 is AArch64. */
  readonly machine: number;
  readonly sections: ReadonlyMap<string, ElfSection>;
  /** The path in PT_INTERP: the dynamic loader, which tells glibc from musl. */
  readonly interpreter: string | undefined;
}

export interface ElfSection {
  readonly offset: number;
  readonly size: number;
}

export const machineX64 = 62;
export const machineArm64 = 183;

const programHeaderInterpreter = 3;
const sectionWithoutBytes = 8;

/** Reads the headers of `bytes`; throws when they are not a 64-bit little-endian ELF file with section headers. */
export function parseElf(bytes: Uint8Array): ElfFile {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 64 || view.getUint32(0) !== 0x7f454c46 || bytes[4] !== 2 || bytes[5] !== 1) {
    throw new Error("not a 64-bit little-endian ELF file");
  }
  const number64 = (offset: number): number => Number(view.getBigUint64(offset, true));
  const text = (start: number, end: number): string => {
    const terminator = bytes.indexOf(0, start);
    return new TextDecoder().decode(bytes.subarray(start, terminator === -1 ? end : Math.min(end, terminator)));
  };

  const sectionTable = number64(40);
  const sectionSize = view.getUint16(58, true);
  const headers = Array.from({ length: view.getUint16(60, true) }, (_, index) => {
    const at = sectionTable + index * sectionSize;
    return {
      name: view.getUint32(at, true),
      type: view.getUint32(at + 4, true),
      offset: number64(at + 24),
      size: number64(at + 32),
    };
  });
  const names = headers[view.getUint16(62, true)];
  if (names === undefined) throw new Error("the ELF file has no section names");
  const sections = new Map(
    headers
      .filter((header) => header.type !== 0 && header.type !== sectionWithoutBytes)
      .map(({ name, offset, size }) => [text(names.offset + name, names.offset + names.size), { offset, size }]),
  );

  const programTable = number64(32);
  const programSize = view.getUint16(54, true);
  let interpreter: string | undefined;
  for (let index = 0; index < view.getUint16(56, true); index++) {
    const at = programTable + index * programSize;
    if (view.getUint32(at, true) !== programHeaderInterpreter) continue;
    const offset = number64(at + 8);
    interpreter = text(offset, offset + number64(at + 32));
  }
  return { machine: view.getUint16(18, true), sections, interpreter };
}

/** The bytes of the section called `name`, shared with `bytes`; throws when there is none. */
export function sectionBytes(bytes: Uint8Array, elf: ElfFile, name: string): Uint8Array {
  const section = elf.sections.get(name);
  if (section === undefined) throw new Error(`the ELF file has no section ${name}`);
  return bytes.subarray(section.offset, section.offset + section.size);
}
