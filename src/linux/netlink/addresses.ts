import { addressOfBytes, type IpAddress } from "../../util/ip-address.ts";
import { decodeAttributes, type Message, NLM_F_DUMP } from "./message.ts";
import type { RouteSocket } from "./socket.ts";

/** linux/rtnetlink.h, linux/if_addr.h */
const RTM_NEWADDR = 20;
const RTM_GETADDR = 22;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;

/** `struct ifaddrmsg` */
const bodySize = 8;

/** The addresses of all devices of a network namespace, whoever has given them. @throws SystemCallError */
export function listAddresses(socket: RouteSocket): IpAddress[] {
  return socket
    .request(
      { type: RTM_GETADDR, flags: NLM_F_DUMP, body: Buffer.alloc(bodySize) },
      { step: "list the addresses of", path: "the host" },
    )
    .flatMap((message) => addressOf(message) ?? []);
}

function addressOf({ type, body }: Message): IpAddress | undefined {
  if (type !== RTM_NEWADDR) return undefined;
  const found = decodeAttributes(body, bodySize);
  // Of a line between two hosts the other one is the other's address.
  const bytes = found.get(IFA_LOCAL) ?? found.get(IFA_ADDRESS);
  return bytes?.length === 4 || bytes?.length === 16 ? addressOfBytes(bytes) : undefined;
}
