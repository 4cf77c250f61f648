import { NotFoundError } from "../util/errors.ts";
import type { EngineContext } from "./context.ts";
import { publicationsOf } from "./ps.ts";
import { openContainers } from "./reconcile.ts";

/** A port of a container, and where on the host it can be reached. */
export interface PublishedPort {
  /** `80/tcp` */
  readonly port: string;
  /** `0.0.0.0:8080` */
  readonly address: string;
}

/**
 * The ports of a container that are published on the host.
 * @param port `80` or `80/udp`; absent: all
 * @throws NotFoundError there is no such container, or the port is not published; UsageError the name fits several
 */
export async function publishedPorts(
  context: Pick<EngineContext, "root" | "state">,
  reference: string,
  port: string | undefined,
): Promise<PublishedPort[]> {
  const { containers } = await openContainers(context);
  const record = containers.read(containers.resolve(reference));
  const all = publicationsOf(context, record)
    .map(({ containerPort, protocol, hostAddress, hostPort }) => ({
      port: `${containerPort}/${protocol}`,
      address: hostAddress.includes(":") ? `[${hostAddress}]:${hostPort}` : `${hostAddress}:${hostPort}`,
    }))
    .toSorted((one, other) => Number.parseInt(one.port, 10) - Number.parseInt(other.port, 10));
  if (port === undefined) return all;
  const full = port.includes("/") ? port : `${port}/tcp`;
  const found = all.filter((one) => one.port === full);
  if (found.length > 0) return found;
  throw new NotFoundError(`no public port '${full}' published for ${reference}`);
}
