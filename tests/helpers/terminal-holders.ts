import { readdirSync, readlinkSync } from "node:fs";

/** The processes of gocker's that hold a terminal which nobody looks at: see `holdTerminal`. */
export function terminalHolders(): number[] {
  const numbers = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return numbers
    .filter((number) => linkOf(`/proc/${number}/exe`).startsWith("/memfd:gocker ") && hasMaster(number))
    .map(Number);
}

function hasMaster(number: string): boolean {
  return namesIn(`/proc/${number}/fd`).some((fd) => linkOf(`/proc/${number}/fd/${fd}`).endsWith("/ptmx"));
}

/** Empty when the process has ended meanwhile. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

/** Empty when the process has ended meanwhile. */
function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
