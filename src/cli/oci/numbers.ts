import { signalNumber } from "../../linux/signals.ts";
import { UsageError } from "../../util/errors.ts";

/** A signal by name or number; 0, which only asks, too. @throws UsageError there is no such signal */
export function parseSignal(text: string): number {
  if (text === "0") return 0;
  const number = signalNumber(text);
  if (number !== undefined) return number;
  throw new UsageError(`there is no signal ${JSON.stringify(text)}`);
}

/** A user and group as `--user UID[:GID]` has them. @throws UsageError */
export function parseUser(text: string): { readonly uid: number; readonly gid: number } {
  const found = /^(\d{1,10})(?::(\d{1,10}))?$/.exec(text);
  if (found === null) throw new UsageError(`--user must be UID or UID:GID, not ${JSON.stringify(text)}`);
  const [, uid = "0", gid = "0"] = found;
  return { uid: Number(uid), gid: Number(gid) };
}
