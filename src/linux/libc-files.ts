import { FFIType } from "bun:ffi";
import { bindLibc } from "./libc.ts";

const { i64_fast: i64, u64_fast: u64 } = FFIType;

/** What unpacking and copying call of the C library besides `libc` of libc.ts. */
export const fileCalls = bindLibc({
  unshare: { args: ["i32"], returns: "i32" },
  umask: { args: ["u32"], returns: "u32" },
  ftruncate: { args: ["i32", i64], returns: "i32" },
  fchown: { args: ["i32", "u32", "u32"], returns: "i32" },
  fchmod: { args: ["i32", "u32"], returns: "i32" },
  futimens: { args: ["i32", "buffer"], returns: "i32" },
  fsetxattr: { args: ["i32", "cstring", "buffer", u64, "i32"], returns: "i32" },
  lsetxattr: { args: ["cstring", "cstring", "buffer", u64, "i32"], returns: "i32" },
});
