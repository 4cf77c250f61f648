import type { Namespace, NamespaceType } from "../oci/runtime-spec.ts";
import type { ContainerOptions, JoinedContainer } from "./options.ts";

/** What decides which namespaces a container has; containers that are joined by their IDs. */
export type NamespaceChoices = Pick<ContainerOptions, "network" | "ipc" | "pid" | "uts" | "cgroupns">;

/**
 * The namespaces of a specification. One that is another container's has `container:ID` in the place of a path: which
 * process that container has, and so which path, is known when it is started. See `joinNamespaces`.
 * @param hasOwnCgroups on cgroup v1 a namespace would hide where the controllers are mounted from: the host's stays,
 *   as Docker has it, unless it is asked for
 */
export function buildNamespaces(choices: NamespaceChoices, hasOwnCgroups: boolean): Namespace[] {
  const { network, ipc, pid, uts, cgroupns = hasOwnCgroups ? "private" : "host" } = choices;
  return [
    { type: "mount" },
    ...namespace("network", network === "none" || network === "connected" ? undefined : network),
    ...namespace("uts", uts),
    ...namespace("pid", pid),
    ...namespace("ipc", ipc === "private" || ipc === "shareable" || ipc === "none" ? undefined : ipc),
    ...namespace("cgroup", cgroupns === "private" ? undefined : cgroupns),
  ];
}

/** @param choice absent: a new one */
function namespace(
  type: NamespaceType,
  choice: "host" | JoinedContainer | { readonly path: string } | undefined,
): Namespace[] {
  if (choice === "host") return [];
  if (choice === undefined) return [{ type }];
  return [{ type, path: "path" in choice ? choice.path : referenceTo(choice.container) }];
}

const prefix = "container:";

/** What stands for a thing of another container's in a specification. No path is like that: none is absolute. */
export function referenceTo(id: string): string {
  return `${prefix}${id}`;
}

/** The ID of a {@link referenceTo}; undefined when the text is none. */
export function referredContainer(text: string | undefined): string | undefined {
  return text?.startsWith(prefix) === true ? text.slice(prefix.length) : undefined;
}

/** Whether any of the namespaces is another container's. */
export function refersToContainers(namespaces: readonly Namespace[] = []): boolean {
  return namespaces.some(({ path }) => referredContainer(path) !== undefined);
}

/** Whether a choice is another container's namespace. */
export function isJoined(choice: unknown): choice is JoinedContainer {
  return typeof choice === "object" && choice !== null && "container" in choice;
}

/** The container's processes are also in the view of others: they do not end with its first one. */
export function sharesProcesses(namespaces: readonly Namespace[] = []): boolean {
  return namespaces.every(({ type, path }) => type !== "pid" || path !== undefined);
}
