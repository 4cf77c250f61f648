import type { NetworkRequest } from "../../container/options.ts";
import { checkBeforehand } from "../../network/given-addresses.ts";
import { NetworkStore } from "../../network/networks.ts";
import { defaultNetworkName } from "../../network/record.ts";
import { UsageError } from "../../util/errors.ts";
import type { EngineContext } from "../context.ts";

/**
 * Networks by their names, however the user has named them: by the beginning of an ID, or Docker's `default`.
 * @throws NotFoundError there is no such network; UsageError several fit, one is named twice, or an address is none of it
 */
export function canonicalNetworks(
  { root, state }: Pick<EngineContext, "root" | "state">,
  requests: readonly NetworkRequest[],
): NetworkRequest[] {
  const store = new NetworkStore(root, state);
  const canonical = requests.map((request) => ({ ...request, network: canonicalName(request.network, store) }));
  for (const [index, request] of canonical.entries()) {
    const { network } = request;
    checkBeforehand(store, network, request);
    if (canonical.findIndex((one) => one.network === network) < index) {
      throw new UsageError(`--network ${requests[index]?.network} names network ${network} a second time`);
    }
  }
  return canonical;
}

/** @throws NotFoundError there is no such network; UsageError several fit */
export function canonicalName(network: string, store: NetworkStore): string {
  if (network === defaultNetworkName || network === "default") return defaultNetworkName;
  return store.resolve(network).name;
}
