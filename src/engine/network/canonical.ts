import type { NetworkRequest } from "../../container/options.ts";
import { NetworkStore } from "../../network/networks.ts";
import { defaultNetworkName } from "../../network/record.ts";
import type { EngineContext } from "../context.ts";

/**
 * Networks by their names, however the user has named them: by the beginning of an ID, or Docker's `default`.
 * @throws NotFoundError there is no such network; UsageError several fit
 */
export function canonicalNetworks(
  { root, state }: Pick<EngineContext, "root" | "state">,
  requests: readonly NetworkRequest[],
): NetworkRequest[] {
  const store = new NetworkStore(root, state);
  return requests.map((request) => {
    const { network } = request;
    if (network === defaultNetworkName || network === "default") return { ...request, network: defaultNetworkName };
    return { ...request, network: store.resolve(network).name };
  });
}
