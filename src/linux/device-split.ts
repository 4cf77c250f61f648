/** A device number taken apart, the reverse of `makeDevice`. makedev(3) */
export function splitDevice(device: bigint): { major: number; minor: number } {
  return {
    major: Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xffff_f000n)),
    minor: Number((device & 0xffn) | ((device >> 12n) & 0xffff_ff00n)),
  };
}
