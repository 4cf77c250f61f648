/** A number of 32 bits as nftables takes its own: the most significant byte first. */
export function bigEndian32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

/** The same of 16 bits, such as a port is in a packet. */
export function bigEndian16(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

/** A number of 32 bits as the kernel keeps its own in registers: little-endian, on the machines that gocker runs on. */
export function native32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
