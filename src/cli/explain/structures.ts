import { capabilitiesIn } from "../../linux/capabilities.ts";
import { accessModes, mountAttributes, type Names, openFlags, propagations, resolveFlags } from "./names.ts";

/** A number as the names of its bits, and what has no name as a number. */
export function flags(value: number | bigint, names: Names): string {
  let rest = BigInt(value);
  const set: string[] = [];
  for (const [bit, name] of names) {
    const mask = BigInt(bit);
    if (mask === 0n || (rest & mask) !== mask) continue;
    set.push(name);
    rest &= ~mask;
  }
  if (rest !== 0n) set.push(`0x${rest.toString(16)}`);
  return set.length === 0 ? "0" : set.join("|");
}

/** A number that is one of several. */
export function choice(value: number | bigint, names: Names): string {
  return names.find(([number]) => BigInt(number) === BigInt(value))?.[1] ?? String(value);
}

/** Flags of open(2): with O_PATH nothing is read or written, so that the access mode says nothing. */
export function openMode(value: number | bigint): string {
  const bits = BigInt(value);
  const rest = flags(bits & ~3n, openFlags);
  if (rest.startsWith("O_PATH")) return rest;
  const access = choice(bits & 3n, accessModes);
  return rest === "0" ? access : `${access}|${rest}`;
}

export function octal(value: number | bigint): string {
  return value.toString(8).padStart(4, "0");
}

/** `struct open_how`. openat2(2) */
export function openHow(bytes: Uint8Array): string {
  const [how = 0n, mode = 0n, resolve = 0n] = words64(bytes);
  const parts = [`flags=${openMode(how)}`];
  if (mode !== 0n) parts.push(`mode=${octal(mode)}`);
  return `{${[...parts, `resolve=${flags(resolve, resolveFlags)}`].join(", ")}}`;
}

/** `struct mount_attr`. mount_setattr(2) */
export function mountAttr(bytes: Uint8Array): string {
  const [set = 0n, clear = 0n, propagation = 0n, userNamespace = 0n] = words64(bytes);
  const parts: string[] = [];
  if (set !== 0n) parts.push(`set=${flags(set, mountAttributes)}`);
  if (clear !== 0n) parts.push(`clear=${flags(clear, mountAttributes)}`);
  if (propagation !== 0n) parts.push(`propagation=${flags(propagation, propagations)}`);
  if (userNamespace !== 0n) parts.push(`userns_fd=${userNamespace}`);
  return `{${parts.join(", ")}}`;
}

/** The two `struct __user_cap_data_struct` of version 3: the low words of the three sets, then the high ones. capset(2) */
export function capabilityData(bytes: Uint8Array): string {
  const words = words32(bytes);
  const mask = (index: number) => BigInt(words[index] ?? 0) | (BigInt(words[index + 3] ?? 0) << 32n);
  const [effective, permitted, inheritable] = [mask(0), mask(1), mask(2)];
  const sets =
    effective === permitted
      ? [`effective=permitted=${capabilities(effective)}`]
      : [`effective=${capabilities(effective)}`, `permitted=${capabilities(permitted)}`];
  return `{${[...sets, `inheritable=${capabilities(inheritable)}`].join(", ")}}`;
}

function capabilities(mask: bigint): string {
  const names = capabilitiesIn(mask);
  return names.length === 0 ? "none" : names.join("|");
}

/** Numbers of 32 bits, such as the groups of setgroups(2). */
export function numbers32(bytes: Uint8Array): string {
  return `[${[...words32(bytes)].join(", ")}]`;
}

/** A device number of 64 bits as `major:minor`. makedev(3) */
export function device(value: number | bigint): string {
  const bits = BigInt(value);
  const major = ((bits >> 32n) & 0xffff_f000n) | ((bits >> 8n) & 0xfffn);
  const minor = ((bits >> 12n) & 0xffff_ff00n) | (bits & 0xffn);
  return `${major}:${minor}`;
}

/** Bytes that are a text, in quotes; others by their number. */
export function bytesOrText(bytes: Uint8Array): string {
  const text = new TextDecoder().decode(bytes);
  return /^[\p{L}\p{N}\p{P}\p{S} \n\t]+$/u.test(text) && !text.includes("\ufffd")
    ? JSON.stringify(text)
    : `{${bytes.length} bytes}`;
}

function words64(bytes: Uint8Array): BigUint64Array {
  return new BigUint64Array(aligned(bytes, 8));
}

function words32(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(aligned(bytes, 4));
}

/** A copy at an address that suits words of so many bytes, without an incomplete last one. */
function aligned(bytes: Uint8Array, size: number): ArrayBuffer {
  return bytes.slice(0, bytes.length - (bytes.length % size)).buffer;
}
