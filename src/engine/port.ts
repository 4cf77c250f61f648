import { NotFoundError } from "../util/errors.ts";
import type { EngineContext } from "./context.ts";
import { openContainers } from "./reconcile.ts";

/** A port of a container, and where on the host it can be reached. */
export interface PublishedPort {
  /** `80/tcp` */
  readonly port: string;
  /** `0.0.0.0:8080` */
  readonly address: string;
}

/**
 * The ports of a container that are published on the host: none, as containers are in no network of gocker's.
 * @param port `80` or `80/udp`; absent: all
 * @throws NotFoundError there is no such container, or the port is not published; UsageError the name fits several
 */
export async function publishedPorts(
  context: Pick<EngineContext, "root" | "state">,
  reference: string,
  port: string | undefined,
): Promise<PublishedPort[]> {
  const { containers } = await openContainers(context);
  containers.resolve(reference);
  if (port === undefined) return [];
  const full = port.includes("/") ? port : `${port}/tcp`;
  throw new NotFoundError(`no public port '${full}' published for ${reference}`);
}
