import { errnos } from "../../linux/errno.ts";
import { getTable, tableComment as commentOf } from "../../linux/netlink/nftables/messages.ts";
import type { NftablesSocket } from "../../linux/netlink/nftables/socket.ts";
import { SystemCallError } from "../../util/errors.ts";
import { tableComment, tableName, tablePath } from "./table-name.ts";

/**
 * Whether gocker's table is there, and one of this gocker's rules. By itself, as all that most containers need of the
 * firewall. @throws SystemCallError @throws GockerError this kernel has no nftables
 */
export function isTableThere(socket: NftablesSocket): boolean {
  try {
    const answers = socket.ask(getTable(tableName), { step: "look for the firewall", path: tablePath });
    return answers.some((answer) => commentOf(answer) === tableComment);
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Whether the kernel knows nothing of the kind. */
export function isMissing(error: unknown): boolean {
  return error instanceof SystemCallError && error.errno === errnos.ENOENT;
}
