import type { FlagDefinitions } from "../../flags.ts";
import { deviceFlags } from "./device-flags.ts";
import { groups } from "./groups.ts";
import { healthFlags } from "./health-flags.ts";
import { namespaceFlags } from "./namespace-flags.ts";
import { resourceFlags } from "./resource-flags.ts";

/** The flags of `gocker run`: names, letters and meanings are Docker's, `--explain` is gocker's own. */
export const runFlags = {
  interactive: {
    type: "boolean",
    alias: "i",
    group: groups.container,
    description: "Give the container gocker's standard input",
  },
  tty: {
    type: "boolean",
    alias: "t",
    group: groups.container,
    description: "Give the container a terminal of its own",
  },
  detach: {
    type: "boolean",
    alias: "d",
    group: groups.container,
    description: "Print the container's ID and leave it running",
  },
  attach: {
    type: "string",
    alias: "a",
    repeated: true,
    valueHint: "STREAM",
    group: groups.container,
    description: "Of stdin, stdout and stderr, show only these (all)",
  },
  "sig-proxy": {
    type: "enum",
    options: ["true", "false"],
    bare: "true",
    group: groups.container,
    description: "Pass signals on (true); otherwise they end gocker alone",
  },
  "detach-keys": {
    type: "string",
    valueHint: "KEYS",
    group: groups.container,
    description: "Keys that leave a container with a terminal (ctrl-p,ctrl-q)",
  },
  restart: {
    type: "string",
    valueHint: "POLICY",
    group: groups.container,
    description: "Start it again when it has ended: always, unless-stopped, on-failure[:N]",
  },
  "log-driver": {
    type: "string",
    valueHint: "DRIVER",
    group: groups.container,
    description: "Where what it writes is kept: json-file, local, journald, none",
  },
  "log-opt": {
    type: "string",
    repeated: true,
    valueHint: "NAME=VALUE",
    group: groups.container,
    description: "How it is kept there: max-size=10m, max-file=3, compress=true and others",
  },
  rm: { type: "boolean", group: groups.container, description: "Remove the container when it has ended" },
  name: { type: "string", group: groups.container, description: "The container's name (one is made up otherwise)" },
  label: {
    type: "string",
    alias: "l",
    repeated: true,
    valueHint: "KEY[=VALUE]",
    group: groups.container,
    description: "Note something about the container",
  },
  "label-file": {
    type: "string",
    repeated: true,
    valueHint: "FILE",
    group: groups.container,
    description: "Note what the lines of a file say about it",
  },
  annotation: {
    type: "string",
    repeated: true,
    valueHint: "KEY[=VALUE]",
    group: groups.container,
    description: "Add an annotation to its specification",
  },
  cidfile: {
    type: "string",
    valueHint: "FILE",
    group: groups.container,
    description: "Write the container's ID to a new file",
  },

  pull: {
    type: "enum",
    options: ["always", "missing", "never"],
    default: "missing",
    group: groups.image,
    description: "When to ask the registry for the image",
  },
  platform: {
    type: "string",
    valueHint: "OS/ARCH[/VARIANT]",
    group: groups.image,
    description: "Which of the image's platforms to take",
  },
  quiet: { type: "boolean", alias: "q", group: groups.image, description: "Show nothing of the pull" },

  entrypoint: {
    type: "string",
    valueHint: "PROGRAM",
    group: groups.process,
    description: 'Replace the image\'s ENTRYPOINT; "" clears it',
  },
  env: {
    type: "string",
    alias: "e",
    repeated: true,
    valueHint: "KEY[=VALUE]",
    group: groups.process,
    description: "Set a variable; KEY alone passes gocker's own on",
  },
  "env-file": {
    type: "string",
    repeated: true,
    valueHint: "FILE",
    group: groups.process,
    description: "Set the variables of a file, one a line",
  },
  workdir: {
    type: "string",
    alias: "w",
    valueHint: "DIR",
    group: groups.process,
    description: "Working directory in the container",
  },
  user: {
    type: "string",
    alias: "u",
    valueHint: "USER[:GROUP]",
    group: groups.process,
    description: "User and group, names or numbers",
  },
  "group-add": {
    type: "string",
    repeated: true,
    valueHint: "GROUP",
    group: groups.process,
    description: "One more group for the process",
  },
  ulimit: {
    type: "string",
    repeated: true,
    valueHint: "NAME=SOFT[:HARD]",
    group: groups.process,
    description: "Limit a resource (nofile, nproc, core, …)",
  },
  "stop-signal": {
    type: "string",
    valueHint: "SIGNAL",
    group: groups.process,
    description: "The signal that asks the container to stop",
  },
  "stop-timeout": {
    type: "string",
    valueHint: "SECONDS",
    group: groups.process,
    description: "How long it has for its end before it is killed; -1 for ever (10)",
  },
  init: {
    type: "boolean",
    group: groups.process,
    description: "Make process 1 an init that passes signals on and reaps",
  },

  ...resourceFlags,

  volume: {
    type: "string",
    alias: "v",
    repeated: true,
    valueHint: "[SOURCE:]TARGET[:OPTIONS]",
    group: groups.files,
    description: "Mount a directory or file of the host, or a volume",
  },
  mount: {
    type: "string",
    repeated: true,
    valueHint: "FIELDS",
    group: groups.files,
    description: "The same, spelt out: type=bind,source=/a,target=/b,readonly",
  },
  "volumes-from": {
    type: "string",
    repeated: true,
    valueHint: "CONTAINER[:ro]",
    group: groups.files,
    description: "Mount what another container has mounted of volumes and of the host",
  },
  "volume-driver": {
    type: "enum",
    options: ["local"],
    group: groups.files,
    description: "The driver of volumes that -v makes: there is none but local",
  },
  tmpfs: {
    type: "string",
    repeated: true,
    valueHint: "TARGET[:OPTIONS]",
    group: groups.files,
    description: "Mount a file system that lives in memory",
  },
  "read-only": { type: "boolean", group: groups.files, description: "Make the root file system read-only" },

  ...deviceFlags,

  network: {
    type: "string",
    alias: "net",
    valueHint: "NETWORK",
    repeated: true,
    group: groups.network,
    description: "A network of gocker's (bridge), host, none, container:NAME, or ns:PATH",
  },
  "network-alias": {
    type: "string",
    repeated: true,
    valueHint: "NAME",
    group: groups.network,
    description: "One more name by which others in its network find it",
  },
  ip: { type: "string", valueHint: "ADDRESS", group: groups.network, description: "Its IPv4 address in its network" },
  ip6: { type: "string", valueHint: "ADDRESS", group: groups.network, description: "Its IPv6 address there" },
  "mac-address": {
    type: "string",
    valueHint: "ADDRESS",
    group: groups.network,
    description: "Its hardware address there, such as 02:42:c0:a8:00:05",
  },
  publish: {
    type: "string",
    alias: "p",
    repeated: true,
    valueHint: "[[IP:]PORT:]PORT[/PROTOCOL]",
    group: groups.network,
    description: "Make a port of the container reachable on the host; ranges are FIRST-LAST",
  },
  "publish-all": {
    type: "boolean",
    alias: "P",
    group: groups.network,
    description: "The same for all ports that the image and --expose name, at any free ones",
  },
  hostname: { type: "string", alias: "h", group: groups.network, description: "The container's host name" },
  domainname: {
    type: "string",
    valueHint: "DOMAIN",
    group: groups.network,
    description: "The domain of its host name",
  },
  "add-host": {
    type: "string",
    repeated: true,
    valueHint: "NAME:ADDRESS",
    group: groups.network,
    description: "One more line for /etc/hosts",
  },
  dns: {
    type: "string",
    repeated: true,
    valueHint: "ADDRESS",
    group: groups.network,
    description: "A name server for /etc/resolv.conf",
  },
  "dns-search": {
    type: "string",
    repeated: true,
    valueHint: "DOMAIN",
    group: groups.network,
    description: "A search domain for /etc/resolv.conf; . for none",
  },
  "dns-option": {
    type: "string",
    alias: "dns-opt",
    repeated: true,
    valueHint: "OPTION",
    group: groups.network,
    description: "An option for /etc/resolv.conf",
  },
  expose: {
    type: "string",
    repeated: true,
    valueHint: "PORT[-PORT][/PROTOCOL]",
    group: groups.network,
    description: "Note a port that it listens on",
  },

  ...namespaceFlags,

  "cap-add": {
    type: "string",
    repeated: true,
    valueHint: "CAPABILITY",
    group: groups.security,
    description: "Grant a capability, or ALL",
  },
  "cap-drop": {
    type: "string",
    repeated: true,
    valueHint: "CAPABILITY",
    group: groups.security,
    description: "Take a capability away, or ALL",
  },
  privileged: { type: "boolean", group: groups.security, description: "Grant everything: no protection of the host" },
  "security-opt": {
    type: "string",
    repeated: true,
    valueHint: "OPTION",
    group: groups.security,
    description: "Set no-new-privileges, seccomp=FILE|unconfined, apparmor=PROFILE, systempaths=unconfined, …",
  },

  ...healthFlags,

  explain: {
    type: "enum",
    options: ["run", "only"],
    bare: "run",
    valueHint: "only",
    group: groups.learning,
    description: "Show every system call that makes the container; with only, do not run it",
  },
} as const satisfies FlagDefinitions;

/** Flags of `docker run` that gocker has not: named to tell "not yet" from "mistyped". */
export const absentRunFlags: ReadonlySet<string> = new Set(
  `disable-content-trust link-local-ip use-api-socket`.trim().split(/\s+/),
);

/** Flags of `docker run` that gocker refuses, and why. */
export const refusedRunFlags: ReadonlyMap<string, string> = new Map([
  ["gpus", "it takes a vendor's programs on the host, and gocker starts none; --device gives the device files alone"],
  ["link", "it belongs to Docker's old bridge; --add-host and --network container:NAME are other ways"],
  ["runtime", "gocker is the runtime"],
]);
