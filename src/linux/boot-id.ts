import { readFileSync } from "node:fs";

let boot: string | undefined;

/** Another value after each start of the kernel. random(4) */
export function bootId(): string {
  return (boot ??= readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim());
}
