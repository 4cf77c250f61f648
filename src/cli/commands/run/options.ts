import { readKeyValueFile } from "../../../container/key-value-file.ts";
import { parseDetachKeys } from "../../../container/detach-keys.ts";
import { parseName } from "../../../container/names.ts";
import { hostGateway } from "../../../container/etc-files.ts";
import { buildRlimits } from "../../../container/rlimits.ts";
import type { MountOption, Ulimit } from "../../../container/options.ts";
import { refuseConflicts } from "../../../engine/conflicts.ts";
import type { RunOptions, Stream } from "../../../engine/options.ts";
import { defaultNetworkName } from "../../../network/record.ts";
import { capabilityNumber } from "../../../linux/capabilities.ts";
import { signalNumber } from "../../../linux/signals.ts";
import { UsageError } from "../../../util/errors.ts";
import { alternatives, type FlagValues } from "../../flags.ts";
import { parseKeyValues } from "../../key-values.ts";
import { isAddress } from "./addresses.ts";
import { targetFault } from "./bind-path.ts";
import { parseDevice, parseDeviceRule, parseSysctls } from "./device-flags.ts";
import type { runFlags } from "./flags.ts";
import { healthOptions } from "./health-flags.ts";
import { parseLog } from "./log-flag.ts";
import { parseMountFlag } from "./mount-flag.ts";
import { checkResolverOption, checkSearchDomain, parseExposed } from "./name-flags.ts";
import { namespaceOptions } from "./namespace-flags.ts";
import { parseNetworks } from "./network-flags.ts";
import { parsePublished } from "./publish-flag.ts";
import { parseResourceFlags } from "./resource-flags.ts";
import { checkRestart, parseRestart } from "./restart-flag.ts";
import { parseSecurityOptions } from "./security-flag.ts";
import { tmpfsOptionFault } from "./tmpfs-options.ts";
import { parseVolumeFlag } from "./volume-flag.ts";
import { parseVolumesFrom } from "./volumes-from-flag.ts";

export type RunFlagValues = FlagValues<typeof runFlags>;

export interface RunSurroundings {
  readonly currentDirectory: string;
  /** Called by a link named `docker`: the words after the image follow ENTRYPOINT. */
  readonly asDocker: boolean;
  /** The network of containers that ask for none. */
  readonly network: string;
}

/** What the options of a call of gocker go by. */
export function runSurroundings(asDocker: boolean): RunSurroundings {
  const network = process.env["GOCKER_NETWORK"] || defaultNetworkName;
  return { currentDirectory: process.cwd(), asDocker, network };
}

/** The longest name that sethostname(2) takes, in bytes. */
const maximumHostname = 64;

/**
 * What `gocker run` is asked to do. Everything that is wrong by its form is refused here, before anything is pulled.
 * @param operands the image and the words after it
 * @throws {UsageError} a flag's value is not of its form
 */
export function runOptions(
  flags: RunFlagValues,
  operands: readonly [image: string, ...words: string[]],
  surroundings: RunSurroundings,
): RunOptions {
  const [image, ...words] = operands;
  if (image === "") throw new UsageError("the image's name is empty");
  const options: RunOptions = {
    image,
    words,
    dockerWords: surroundings.asDocker,
    interactive: flags.interactive,
    terminal: flags.tty,
    remove: flags.rm,
    init: flags.init,
    detach: flags.detach,
    labels: parseKeyValues("--label", [
      ...flags["label-file"].flatMap((file) => readKeyValueFile(file, "label", "label")),
      ...flags.label,
    ]),
    pull: flags.pull,
    quiet: flags.quiet,
    environment: flags.env.map(checkVariable),
    environmentFiles: flags["env-file"],
    groupAdd: flags["group-add"].map((group) => nonEmpty("--group-add", group)),
    ulimits: flags.ulimit.map(parseUlimit),
    mounts: parseMounts(flags, surroundings.currentDirectory),
    readOnly: flags["read-only"],
    ...parseNetworks(flags, surroundings.network),
    addHosts: flags["add-host"].map(parseHost),
    dns: flags.dns.map(checkNameServer),
    capAdd: flags["cap-add"].map((name) => checkCapability("--cap-add", name)),
    capDrop: flags["cap-drop"].map((name) => checkCapability("--cap-drop", name)),
    privileged: flags.privileged,
    ...namespaceOptions(flags),
    ...parseSecurityOptions(flags["security-opt"], surroundings.currentDirectory),
    ...parseResourceFlags(flags),
  };
  // Given and empty means not given, as with Docker; only an empty --entrypoint says something.
  if (flags.entrypoint !== undefined) options.entrypoint = flags.entrypoint;
  if (given(flags.name)) options.name = parseName(flags.name);
  if (flags["volumes-from"].length > 0) options.volumesFrom = flags["volumes-from"].map(parseVolumesFrom);
  if (given(flags.hostname)) options.hostname = checkHostname(flags.hostname);
  if (given(flags.cidfile)) options.cidFile = flags.cidfile;
  if (given(flags.platform)) options.platform = flags.platform;
  if (given(flags.user)) options.user = flags.user;
  if (given(flags.workdir)) options.workingDirectory = checkWorkingDirectory(flags.workdir);
  if (given(flags["stop-signal"])) options.stopSignal = checkSignal(flags["stop-signal"]);
  if (flags.explain !== undefined) {
    // What it shows is there before and while gocker starts the container itself.
    if (flags.detach)
      throw new UsageError("--explain shows how a container is started in the foreground: leave out -d");
    if (flags.attach.length > 0 || flags["sig-proxy"] === "false") {
      throw new UsageError("--explain starts a container without a monitor: leave out --attach and --sig-proxy");
    }
    options.explain = flags.explain;
  }
  applyLife(options, flags);
  addFurtherOptions(options, flags);
  refuseConflicts(options);
  return options;
}

/** What a container does that goes on without gocker. */
function applyLife(options: RunOptions, flags: RunFlagValues): void {
  const restart = parseRestart(flags.restart ?? "");
  checkRestart(restart, flags.rm);
  if (restart !== undefined) options.restart = restart;
  const log = parseLog(flags["log-driver"] ?? "", flags["log-opt"]);
  if (log !== undefined) options.log = log;
  if (flags["sig-proxy"] === "false") options.keepSignals = true;
  if (flags.attach.length > 0) {
    if (flags.detach) throw new UsageError("-a conflicts with -d, which shows nothing");
    options.attach = flags.attach.map(parseStream);
  }
  if (given(flags["detach-keys"])) options.detachKeys = parseDetachKeys(flags["detach-keys"]);
}

/** What most containers do not have: absent unless it is given. */
function addFurtherOptions(options: RunOptions, flags: RunFlagValues): void {
  if (given(flags.domainname)) options.domainname = checkDomainname(flags.domainname);
  if (given(flags["stop-timeout"])) options.stopTimeout = parseStopTimeout(flags["stop-timeout"]);
  if (flags.device.length > 0) options.devices = flags.device.map(parseDevice);
  const rules = flags["device-cgroup-rule"];
  if (rules.length > 0) options.deviceRules = rules.map(parseDeviceRule);
  if (flags.sysctl.length > 0) options.sysctls = parseSysctls(flags.sysctl);
  if (flags.annotation.length > 0) options.annotations = parseAnnotations(flags.annotation);
  if (flags["dns-search"].length > 0) options.dnsSearch = flags["dns-search"].map(checkSearchDomain);
  if (flags["dns-option"].length > 0) options.dnsOptions = flags["dns-option"].map(checkResolverOption);
  if (flags.publish.length > 0) options.ports = flags.publish.flatMap(parsePublished);
  if (flags["publish-all"]) options.publishAllPorts = true;
  if (flags.expose.length > 0) options.exposedPorts = parseExposed(flags.expose);
  const healthcheck = healthOptions(flags);
  if (healthcheck !== undefined) options.healthcheck = healthcheck;
}

const streams: readonly Stream[] = ["stdin", "stdout", "stderr"];

function parseStream(text: string): Stream {
  const stream = streams.find((one) => one === text.toLowerCase());
  if (stream === undefined)
    throw new UsageError(`invalid --attach ${JSON.stringify(text)}: it is ${alternatives(streams)}`);
  return stream;
}

function given(value: string | undefined): value is string {
  return value !== undefined && value !== "";
}

function parseMounts(flags: RunFlagValues, currentDirectory: string): MountOption[] {
  return [
    // As with docker, what is said twice is said once.
    ...[...new Set(flags.volume)].map((text) => parseVolumeFlag(text, currentDirectory)),
    ...flags.mount.map((text) => parseMountFlag(text, currentDirectory)),
    ...flags.tmpfs.map(parseTmpfs),
  ];
}

/** `TARGET[:OPTION,…]` */
function parseTmpfs(text: string): MountOption {
  const [target = "", list = ""] = text.split(/:(.*)/s, 2);
  const options = list === "" ? [] : list.split(",");
  const fault = targetFault(target) ?? options.map(tmpfsOptionFault).find((one) => one !== undefined);
  if (fault !== undefined) {
    throw new UsageError(`invalid --tmpfs ${JSON.stringify(text)}: ${fault}`, {
      hint: "it looks like /run or /tmp:size=64m,mode=1777,exec",
    });
  }
  return { type: "tmpfs", target, options };
}

/** Docker's `NAME=SOFT[:HARD]`; -1 is unlimited, and the hard limit is the soft one unless told. */
function parseUlimit(text: string): Ulimit {
  const match = /^([^=]+)=(-1|unlimited|\d+)(?::(-1|unlimited|\d+))?$/.exec(text);
  if (match === null) {
    throw new UsageError(`invalid --ulimit ${JSON.stringify(text)}: it is not of the form NAME=SOFT[:HARD]`, {
      hint: "it looks like nofile=1024:4096; -1 is unlimited",
    });
  }
  const [, name = "", soft = "", hard = soft] = match;
  const limit = (value: string) => (value === "unlimited" ? -1 : Number(value));
  const ulimit = { name: name.toLowerCase(), soft: limit(soft), hard: limit(hard) };
  buildRlimits([ulimit]);
  return ulimit;
}

function checkVariable(text: string): string {
  if (text === "" || text.startsWith("="))
    throw new UsageError(`invalid --env ${JSON.stringify(text)}: its name is empty`);
  return text;
}

/** Docker's `NAME:ADDRESS` and `NAME=ADDRESS`; an IPv6 address may stand in brackets. */
function parseHost(text: string): RunOptions["addHosts"][number] {
  const [, name = "", rest = ""] = /^([^:=]*)[:=](.*)$/s.exec(text) ?? [];
  if (!/^[^\s#]+$/.test(name) || rest === "") {
    throw new UsageError(`invalid --add-host ${JSON.stringify(text)}: it is not of the form NAME:ADDRESS`);
  }
  const address = /^\[(.*)\]$/.exec(rest)?.[1] ?? rest;
  // Known when the container is connected.
  if (address === hostGateway) return { name, address };
  if (!isAddress(address)) {
    throw new UsageError(`invalid --add-host ${JSON.stringify(text)}: ${JSON.stringify(address)} is not an IP address`);
  }
  return { name, address };
}

function checkNameServer(text: string): string {
  if (!isAddress(text)) throw new UsageError(`invalid --dns ${JSON.stringify(text)}: it is not an IP address`);
  return text;
}

function checkCapability(flag: string, text: string): string {
  if (text.toUpperCase() === "ALL" || capabilityNumber(text) !== undefined) return text;
  throw new UsageError(`invalid ${flag} ${JSON.stringify(text)}: there is no such capability`, {
    hint: "the names are those of capabilities(7), such as NET_ADMIN, or ALL",
  });
}

function checkSignal(text: string): string {
  if (signalNumber(text) !== undefined) return text;
  throw new UsageError(`invalid --stop-signal ${JSON.stringify(text)}: there is no such signal`, {
    hint: "it is a name or a number: SIGTERM, TERM, 15, SIGRTMIN+3",
  });
}

function parseStopTimeout(text: string): number {
  if (/^-?\d{1,9}$/.test(text)) return Number(text);
  throw new UsageError(`invalid --stop-timeout ${JSON.stringify(text)}: it is not a number of seconds`);
}

function parseAnnotations(texts: readonly string[]): Record<string, string> {
  const pairs = texts.map((text) => {
    const [key = "", value = ""] = text.split(/=(.*)/s, 2);
    if (key !== "") return [key, value] as const;
    throw new UsageError(`invalid --annotation ${JSON.stringify(text)}: its name is empty`);
  });
  return Object.fromEntries(pairs);
}

function checkDomainname(text: string): string {
  if (Buffer.byteLength(text) <= maximumHostname && /^[\w-]+(\.[\w-]+)*$/.test(text)) return text;
  throw new UsageError(`invalid --domainname ${JSON.stringify(text)}`, {
    hint: `it looks like example.org, and has at most ${maximumHostname} bytes`,
  });
}

function checkHostname(text: string): string {
  const fault =
    Buffer.byteLength(text) > maximumHostname
      ? `it has more than ${maximumHostname} bytes`
      : /[\s/\0]/.test(text)
        ? "it has white space or a slash in it"
        : undefined;
  if (fault !== undefined) throw new UsageError(`invalid --hostname ${JSON.stringify(text)}: ${fault}`);
  return text;
}

function checkWorkingDirectory(text: string): string {
  if (text.startsWith("/")) return text;
  throw new UsageError(`invalid --workdir ${JSON.stringify(text)}: it is not an absolute path`);
}

function nonEmpty(flag: string, text: string): string {
  if (text === "") throw new UsageError(`${flag} is empty`);
  return text;
}
