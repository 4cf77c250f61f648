/** The processor architectures that gocker runs on, by the kernel's names. */
export type Architecture = "x86_64" | "aarch64";

/** The architecture of this process. */
export const hostArchitecture: Architecture = process.arch === "arm64" ? "aarch64" : "x86_64";
