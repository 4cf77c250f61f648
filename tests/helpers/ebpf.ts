/** The eBPF instructions that gocker's assembler knows, carried out. RFC 9669 */
export function runEbpf(program: Uint8Array, context: Uint8Array): number {
  const view = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const memory = new DataView(context.buffer, context.byteOffset, context.byteLength);
  const registers = Array.from({ length: 11 }, () => 0);
  const contextAddress = 0x1000;
  registers[1] = contextAddress;
  for (let counter = 0; ; counter++) {
    const at = counter * 8;
    if (at >= program.byteLength) throw new Error("the program runs past its end");
    const destination = view.getUint8(at + 1) & 15;
    const source = view.getUint8(at + 1) >> 4;
    const offset = view.getInt16(at + 2, true);
    const immediate = view.getInt32(at + 4, true);
    const value = registers[destination] as number;
    const other = registers[source] as number;
    const code = view.getUint8(at);
    switch (code) {
      case 0x61:
        registers[destination] = memory.getUint32(other - contextAddress + offset, true);
        break;
      case 0xb4:
        registers[destination] = immediate >>> 0;
        break;
      case 0xbc:
        registers[destination] = other >>> 0;
        break;
      case 0x54:
        registers[destination] = (value & immediate) >>> 0;
        break;
      case 0x74:
        registers[destination] = value >>> immediate;
        break;
      case 0x05:
        counter += offset;
        break;
      case 0x55:
        if (value !== immediate) counter += offset;
        break;
      case 0x45:
        if ((value & immediate) !== 0) counter += offset;
        break;
      case 0x95:
        return registers[0] as number;
      default:
        throw new Error(`unknown instruction 0x${code.toString(16)} at ${counter}`);
    }
  }
}
