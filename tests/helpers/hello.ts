/** What the program of gocker/hello found out, as its greeting says. */
export interface HelloFacts {
  /** Names of namespaces, as /proc/self/ns has them, by their kind. */
  readonly namespaces: Readonly<Record<string, string>>;
  readonly pid: string;
  readonly hostName: string;
  readonly kernel: string;
  readonly user: string;
  readonly capabilities: string;
  readonly systemCalls: string;
}

export const helloUser = {
  root: "root of the container",
  other: "not root: only files that carry capabilities give it any",
} as const;

export const helloSystemCalls = {
  filtered: "those that a seccomp filter lets through",
  all: "all: no seccomp filter is in force",
} as const;

/** The greeting, to the letter. */
export function helloGreeting(facts: HelloFacts): string {
  const { namespaces, pid, hostName, kernel, user, capabilities, systemCalls } = facts;
  const namespace = (kind: string) => `  ${(namespaces[kind] ?? `no ${kind}`).padEnd(22)}`;
  return `
Hello from gocker!

A container wrote this: an ordinary process of this machine, to which Linux shows
little and allows little. No daemon and no other program helped.

What it sees
${namespace("mnt")}file systems of its own: the image's, and what -v adds
${namespace("pid")}processes of its own: it is number ${pid}
${namespace("uts")}a host name of its own: ${hostName}
${namespace("ipc")}shared memory and message queues of its own
${namespace("cgroup")}a control group, which counts and limits what it uses
${namespace("net")}a network: the host's or its own, as --network says
  kernel                the machine's, which all its containers share: ${kernel}

What it may do
  user                  ${user}
  capabilities          ${capabilities} into which Linux divides the rights of root
  system calls          ${systemCalls}

Try next
  gocker run -it alpine sh                 a shell in Alpine Linux
  gocker run --explain gocker/hello        every step that made this container
  gocker run --cap-drop all gocker/hello   the same with fewer rights
  gocker --help                            everything else

`;
}

/** The namespaces that a greeting names, for comparing them with others. */
export function helloNamespaces(greeting: string): Record<string, string> {
  return Object.fromEntries([...greeting.matchAll(/\b([a-z]+):\[\d+\]/g)].map(([name, kind]) => [kind, name]));
}
