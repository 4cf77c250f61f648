import { errnos } from "../linux/errno.ts";
import { setLinkUp } from "../linux/netlink/links.ts";
import type { RouteSocket } from "../linux/netlink/socket.ts";
import { macvlanOrder, type macvlanModes } from "../linux/netlink/virtual-links.ts";
import { ConflictError, SystemCallError } from "../util/errors.ts";
import { askedMtu } from "./mtu.ts";
import type { NetworkStore } from "./networks.ts";
import type { Connection } from "./plug.ts";
import type { NetworkRecord } from "./record.ts";

/** Milliseconds after which it is asked again. */
const pause = 5;

/** Whose device it is to be. */
export interface MacvlanPlace {
  /** Of the host's network. */
  readonly socket: RouteSocket;
  readonly container: string;
  readonly store: NetworkStore;
  /** Milliseconds for the kernel to take away the devices of a container that has ended; mostly it needs a few tens. */
  readonly patience: number;
}

/**
 * Makes a container's device in the network of the host's device. In mode passthru that has one at a time, be it that of a
 * container which has just ended.
 * @param namespace the file descriptor of the container's
 * @throws ConflictError another container has it; SystemCallError
 */
export async function makeMacvlan(connection: Connection, namespace: number, place: MacvlanPlace): Promise<void> {
  const { attachment, link, network } = connection;
  const { device: name, hardwareAddress } = attachment;
  const mode = (network.options["macvlan_mode"] ?? "bridge") as keyof typeof macvlanModes;
  const device = { name, namespace, hardwareAddress, mtu: askedMtu(network) ?? link.mtu };
  const order = macvlanOrder(device, { parent: link.index, mode });
  await untilFree(
    { errno: errnos.EINVAL, patience: place.patience },
    () => place.socket.carryOut([order]),
    () => {
      const other = othersAt(connection, place).find((one) => mode === "passthru" || isPassedThrough(one.network));
      if (other === undefined) return;
      const which = `the device ${network.device} is for one container alone in mode passthru`;
      throw new ConflictError(`${which}, and ${other.name} has it in network ${other.network.name}`);
    },
  );
}

function isPassedThrough({ options }: NetworkRecord): boolean {
  return options["macvlan_mode"] === "passthru";
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
  place: MacvlanPlace,
): Promise<void> {
  const { device, hardwareAddress } = connection.attachment;
  await untilFree(
    { errno: errnos.EADDRINUSE, patience: place.patience },
    () => setLinkUp(inside.socket, inside.index, device, true),
    () => {
      const other = othersAt(connection, place).find((one) => one.hardwareAddress === hardwareAddress);
      if (other === undefined) return;
      throw new ConflictError(`the hardware address ${hardwareAddress} is in use by container ${other.name}`);
    },
  );
}

/** @param check throws where somebody has it who will not leave it soon */
async function untilFree(
  { errno, patience }: { readonly errno: number; readonly patience: number },
  deed: () => void,
  check: () => void,
): Promise<void> {
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

/** Other containers that have devices at the same one of the host's, in whichever network. */
function othersAt(
  { network }: Connection,
  { container, store }: MacvlanPlace,
): { readonly name: string; readonly hardwareAddress: string; readonly network: NetworkRecord }[] {
  const networks = new Map(
    store
      .list()
      .filter(({ driver, device }) => driver === "macvlan" && device === network.device)
      .map((one) => [one.id, one]),
  );
  return store.endpoints.list().flatMap(({ container: id, name, attachments }) => {
    if (id === container) return [];
    return attachments.flatMap(({ networkId, hardwareAddress }) => {
      const theirs = networks.get(networkId);
      return theirs === undefined ? [] : [{ name, hardwareAddress, network: theirs }];
    });
  });
}
