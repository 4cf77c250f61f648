import { errnos } from "../linux/errno.ts";
import { setLinkUp } from "../linux/netlink/links.ts";
import type { RouteSocket } from "../linux/netlink/socket.ts";
import { macvlanOrder, type macvlanModes } from "../linux/netlink/virtual-links.ts";
import { ConflictError, SystemCallError } from "../util/errors.ts";
import type { EndpointStore } from "./endpoints.ts";
import { askedMtu } from "./mtu.ts";
import type { Connection } from "./plug.ts";

/** Milliseconds in which the kernel takes away the devices of a container that has ended; mostly it is a few tens. */
const patience = 3_000;
/** Milliseconds after which it is asked again. */
const pause = 5;

/** Whose device it is to be, and where. */
export interface MacvlanPlace {
  /** Of the host's network. */
  readonly socket: RouteSocket;
  /** The container's network namespace, a file descriptor. */
  readonly namespace: number;
  readonly container: string;
  readonly endpoints: EndpointStore;
}

/**
 * Makes a container's device in the network of the host's device. In mode passthru that has one at a time, be it that of a
 * container which has just ended.
 * @throws ConflictError another container has it; SystemCallError
 */
export async function makeMacvlan(connection: Connection, place: MacvlanPlace): Promise<void> {
  const { attachment, link, network } = connection;
  const { device: name, hardwareAddress } = attachment;
  const mode = (network.options["macvlan_mode"] ?? "bridge") as keyof typeof macvlanModes;
  const device = { name, namespace: place.namespace, hardwareAddress, mtu: askedMtu(network) ?? link.mtu };
  const order = macvlanOrder(device, { parent: link.index, mode });
  await untilFree(
    errnos.EINVAL,
    () => place.socket.carryOut([order]),
    () => {
      const other = mode === "passthru" ? othersIn(connection, place)[0] : undefined;
      if (other === undefined) return;
      throw new ConflictError(`network ${network.name} takes one container at a time, and ${other.name} is in it`, {
        hint: "its device is passed through (macvlan_mode=passthru): networks of other modes take more",
      });
    },
  );
}

/**
 * Brings up a device of {@link makeMacvlan}: in the network of one device of the host's no two have the same hardware
 * address, which goes with the address that the container before it may have had.
 * @param index of the device in the container's namespace
 * @throws ConflictError another container has that hardware address; SystemCallError
 */
export async function bringUpMacvlan(
  connection: Connection,
  inside: { readonly socket: RouteSocket; readonly index: number },
  place: Pick<MacvlanPlace, "container" | "endpoints">,
): Promise<void> {
  const { device, hardwareAddress } = connection.attachment;
  await untilFree(
    errnos.EADDRINUSE,
    () => setLinkUp(inside.socket, inside.index, device, true),
    () => {
      const other = othersIn(connection, place).find((one) => one.hardwareAddress === hardwareAddress);
      if (other === undefined) return;
      throw new ConflictError(`the hardware address ${hardwareAddress} is in use by container ${other.name}`);
    },
  );
}

/** @param check throws where somebody has it who will not leave it soon */
async function untilFree(errno: number, deed: () => void, check: () => void): Promise<void> {
  const deadline = performance.now() + patience;
  for (;;) {
    try {
      deed();
      return;
    } catch (error) {
      if (!(error instanceof SystemCallError) || error.errno !== errno) throw error;
      check();
      if (performance.now() > deadline) throw error;
      await Bun.sleep(pause);
    }
  }
}

/** Other containers in the network of the same device of the host's. */
function othersIn(
  { network }: Connection,
  { container, endpoints }: Pick<MacvlanPlace, "container" | "endpoints">,
): { readonly name: string; readonly hardwareAddress: string }[] {
  return endpoints.list().flatMap((endpoint) => {
    if (endpoint.container === container) return [];
    const own = endpoint.attachments.filter(({ networkId }) => networkId === network.id);
    return own.map(({ hardwareAddress }) => ({ name: endpoint.name, hardwareAddress }));
  });
}
