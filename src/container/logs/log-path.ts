import { basename } from "node:path";

/** Where a driver's file is; rotated ones have `.1`, `.2` and so on behind their name, and `.gz` when compressed. */
export function logPath(directory: string, driver: "json-file" | "local"): string {
  return driver === "json-file"
    ? `${directory}/${basename(directory)}-json.log`
    : `${directory}/local-logs/container.log`;
}
