import type { BigIntStats } from "node:fs";
import { S_IFMT } from "./constants.ts";

/** Whether the file is of the type, one of S_IFREG, S_IFDIR… */
export function isType(stat: BigIntStats, type: number): boolean {
  return (Number(stat.mode) & S_IFMT) === type;
}
