import { dlopen, type FFIFunction, FFIType, read, type Pointer } from "bun:ffi";

const { i64_fast: i64, u64_fast: u64 } = FFIType;

/**
 * The C library's functions that every start of a container calls; what else is needed is bound where it is
 * ({@link bindLibc}), as each function takes its microseconds. `int` results of -1 leave their reason in {@link errno};
 * wrappers that throw are in the files beside this one. Paths are `cstring`: a JavaScript string (sent as UTF-8) or, for
 * names that are not UTF-8, a NUL-terminated byte array.
 */
const declarations = {
  __errno_location: { args: [], returns: "ptr" },
  syscall: {
    args: [i64, i64, i64, i64, i64, i64, i64],
    returns: i64,
  },
  mmap: { args: [u64, u64, "i32", "i32", "i32", i64], returns: "ptr" },
  mprotect: { args: [u64, u64, "i32"], returns: "i32" },

  prctl: { args: ["i32", u64, u64, u64, u64], returns: "i32" },
  waitpid: { args: ["i32", "buffer", "i32"], returns: "i32" },
  flock: { args: ["i32", "i32"], returns: "i32" },
  ioctl: { args: ["i32", u64, "buffer"], returns: "i32" },
  fcntl: { args: ["i32", "i32", i64], returns: "i32" },
  pipe2: { args: ["buffer", "i32"], returns: "i32" },
  socketpair: { args: ["i32", "i32", "i32", "buffer"], returns: "i32" },
  memfd_create: { args: ["cstring", "u32"], returns: "i32" },
  poll: { args: ["buffer", u64, "i32"], returns: "i32" },

  openat: { args: ["i32", "cstring", "i32", "u32"], returns: "i32" },
  close: { args: ["i32"], returns: "i32" },
  read: { args: ["i32", "buffer", u64], returns: i64 },
  write: { args: ["i32", "buffer", u64], returns: i64 },
  pwrite: { args: ["i32", "buffer", u64, i64], returns: i64 },
  mkdirat: { args: ["i32", "cstring", "u32"], returns: "i32" },
  mknodat: { args: ["i32", "cstring", "u32", u64], returns: "i32" },
  symlinkat: { args: ["cstring", "i32", "cstring"], returns: "i32" },
  linkat: { args: ["i32", "cstring", "i32", "cstring", "i32"], returns: "i32" },
  unlinkat: { args: ["i32", "cstring", "i32"], returns: "i32" },
  readlinkat: { args: ["i32", "cstring", "buffer", u64], returns: i64 },
  fchownat: { args: ["i32", "cstring", "u32", "u32", "i32"], returns: "i32" },
  fchmodat: { args: ["i32", "cstring", "u32", "i32"], returns: "i32" },
  utimensat: { args: ["i32", "cstring", "buffer", "i32"], returns: "i32" },
} as const;

/** The C library's name where the binary is for; scripts/build/compile.ts puts it in. */
declare const GOCKER_LIBC: string;

/**
 * The binary's own name alone: one that the loader does not find Bun looks for in the current directory too, and would
 * load what lies there as root. Sources that are not compiled try glibc's and musl's.
 */
function libraryNames(): string[] {
  if (typeof GOCKER_LIBC === "string") return [GOCKER_LIBC];
  const architecture = process.arch === "arm64" ? "aarch64" : "x86_64";
  return ["libc.so.6", `libc.musl-${architecture}.so.1`];
}

/** Binds functions of the C library by their types, once per thread of JavaScript. */
export function bindLibc<const Functions extends Record<string, FFIFunction>>(functions: Functions) {
  const failures: unknown[] = [];
  for (const name of libraryNames()) {
    try {
      return dlopen(name, functions).symbols;
    } catch (error) {
      failures.push(error);
    }
  }
  throw new AggregateError(failures, `no C library found (tried ${libraryNames().join(", ")})`);
}

export const libc = bindLibc(declarations);

const errnoLocation = libc.__errno_location() as Pointer;

/** The calling thread's errno: what the last failed call of {@link libc} on this thread left. errno(3) */
export function errno(): number {
  return read.i32(errnoLocation, 0);
}

/** A string as the NUL-terminated UTF-8 bytes that the kernel takes. Throws if it holds a NUL itself. */
export function cString(text: string): Buffer {
  if (text.includes("\0"))
    throw new TypeError(`text with a NUL cannot be given to the kernel: ${JSON.stringify(text)}`);
  return Buffer.from(`${text}\0`);
}
