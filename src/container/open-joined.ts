import type { RuntimeSpec } from "../oci/runtime-spec.ts";
import type { JoinableContainers, JoinedNamespaces } from "./joined-namespaces.ts";
import { refersToContainers } from "./namespaces.ts";

/** {@link joinNamespaces}, which is loaded for the few containers that have anything of others. */
export async function openJoined(
  spec: RuntimeSpec,
  containers: JoinableContainers,
): Promise<JoinedNamespaces | undefined> {
  if (!refersToContainers(spec.linux?.namespaces)) return undefined;
  const { joinNamespaces } = await import("./joined-namespaces.ts");
  return await joinNamespaces(spec, containers);
}
