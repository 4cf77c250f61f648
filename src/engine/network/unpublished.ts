import type { NetworkRequest } from "../../container/options.ts";
import { NetworkStore } from "../../network/networks.ts";
import { defaultNetworkName, isReachedByHost } from "../../network/record.ts";
import type { EngineContext } from "../context.ts";

/**
 * Why ports of a container cannot be published by any of its networks; undefined when they can.
 * @param requests by the networks' names
 */
export function whyUnpublished(
  { root, state }: Pick<EngineContext, "root" | "state">,
  requests: readonly NetworkRequest[],
): string | undefined {
  // That one always can, whether it has been made yet or not.
  if (requests.some(({ network }) => network === defaultNetworkName)) return undefined;
  const store = new NetworkStore(root, state);
  const networks = requests.flatMap(({ network }) => store.read(network) ?? []);
  if (networks.some(isReachedByHost)) return undefined;
  return networks
    .map(({ name, driver }) => `network ${name} is ${driver === "bridge" ? "internal" : `of the driver ${driver}`}`)
    .join(", and ");
}
