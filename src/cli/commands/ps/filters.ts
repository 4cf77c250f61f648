import { type ContainerSummary, descendsFrom } from "../../../engine/ps.ts";
import type { EngineContext } from "../../../engine/context.ts";
import { NotFoundError, UsageError } from "../../../util/errors.ts";
import { alternatives } from "../../flags.ts";
import { type Filters, hasLabel, parseFilters } from "../../output/filter.ts";

type Holds = (container: ContainerSummary) => boolean;

const statuses = ["created", "running", "paused", "restarting", "removing", "exited", "dead"];
const healths = ["starting", "healthy", "unhealthy", "none"];

/**
 * Reads the values of `gocker ps --filter`, with Docker's keys and meanings.
 * @param all every container, running or not: `before` and `since` name one of them
 * @throws {UsageError} a filter is none; NotFoundError, ConflictError the container or image that it names
 */
export function containerFilter(
  texts: readonly string[],
  all: readonly ContainerSummary[],
  context: Pick<EngineContext, "images">,
): Holds {
  const filters: Filters<ContainerSummary> = {
    id: ({ id }, value) => id.startsWith(value),
    name: { prepare: named },
    label: ({ labels }, value) => hasLabel(labels, value),
    exited: { prepare: exitedWith },
    status: { prepare: (value) => checked("status", value, statuses, ({ status }) => status === value) },
    health: { prepare: (value) => checked("health", value, healths, (container) => healthOf(container) === value) },
    ancestor: { prepare: (value) => descendsFrom(context, value) },
    before: { prepare: (value) => placed(all, value, (index, given) => index > given) },
    since: { prepare: (value) => placed(all, value, (index, given) => index < given) },
    volume: ({ mounts }, value) =>
      mounts.some(({ name, source, destination }) => (name ?? source) === value || destination === value),
    network: ({ networks }, value) => networks.includes(value),
    publish: { prepare: publishing },
    expose: { prepare: exposing },
    "is-task": {
      prepare: () => {
        throw new UsageError("there is no filter is-task: tasks are Docker's swarm's, and gocker has none");
      },
    },
  };
  return parseFilters(texts, filters);
}

/** Docker takes names with and without the slash that they have in its API. */
function named(value: string): Holds {
  let pattern: RegExp;
  try {
    pattern = new RegExp(value);
  } catch (error) {
    throw new UsageError(`invalid --filter name=${value}: it is not a regular expression`, { cause: error });
  }
  return ({ name }) => pattern.test(name) || pattern.test(`/${name}`);
}

function exitedWith(value: string): Holds {
  if (!/^-?\d+$/.test(value)) {
    throw new UsageError(`invalid --filter exited=${value}: it is not the number of an exit code`);
  }
  return ({ status, state }) => status === "exited" && state.exitCode === Number(value);
}

function checked(key: string, value: string, known: readonly string[], holds: Holds): Holds {
  if (known.includes(value)) return holds;
  throw new UsageError(`invalid --filter ${key}=${value}: it is ${alternatives(known)}`);
}

function healthOf({ status, state }: ContainerSummary): string {
  if (state.health === undefined) return "none";
  return status === "exited" || status === "created" ? "none" : state.health.status;
}

/** Tells containers by their places in the list, which has the newest first. */
function placed(
  all: readonly ContainerSummary[],
  value: string,
  compare: (index: number, given: number) => boolean,
): Holds {
  const name = value.replace(/^\//, "");
  const exact = all.findIndex(({ id, name: own }) => own === name || id === name);
  const given = exact >= 0 || name === "" ? exact : all.findIndex(({ id }) => id.startsWith(name));
  if (given < 0)
    throw new NotFoundError(`no such container: ${value}`, { hint: "`gocker ps -a` lists the containers" });
  const places = new Map(all.map(({ id }, index) => [id, index]));
  return ({ id }) => compare(places.get(id) ?? given, given);
}

interface Ports {
  readonly first: number;
  readonly last: number;
  readonly protocol: string;
}

function readPorts(key: string, text: string): Ports {
  const ports = parsePorts(text);
  if (ports !== undefined) return ports;
  throw new UsageError(`invalid --filter ${key}=${text}: it is not of the form PORT[-PORT][/PROTOCOL]`);
}

function parsePorts(text: string): Ports | undefined {
  const [, first = "", last = first, protocol = "tcp"] =
    /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/i.exec(text) ?? [];
  if (first === "" || Number(last) < Number(first) || Number(last) > 65_535) return undefined;
  return { first: Number(first), last: Number(last), protocol: protocol.toLowerCase() };
}

/** By the host's ports, as with Docker. */
function publishing(value: string): Holds {
  const wanted = readPorts("publish", value);
  return ({ publications }) =>
    publications.some(
      ({ protocol, hostPort }) => protocol === wanted.protocol && hostPort >= wanted.first && hostPort <= wanted.last,
    );
}

function exposing(value: string): Holds {
  const wanted = readPorts("expose", value);
  return ({ exposedPorts }) =>
    exposedPorts.some((text) => {
      const ports = parsePorts(text);
      if (ports === undefined || ports.protocol !== wanted.protocol) return false;
      return ports.first <= wanted.last && ports.last >= wanted.first;
    });
}
