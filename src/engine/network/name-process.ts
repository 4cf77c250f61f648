import { openFirstProcess } from "../../container/first-process.ts";
import type { ContainerRecord } from "../../container/record.ts";
import { ContainerStore } from "../../container/records.ts";
import { launchAsleep } from "../../linux/launch/asleep.ts";
import { fallAsleep, type Sleep } from "../../linux/launch/sleep.ts";
import { pollAll, pollEvent } from "../../linux/poll.ts";
import { openProgram } from "../../linux/program.ts";
import type { Waiting } from "../../linux/waiting.ts";
import { NameSockets } from "../../network/name-sockets.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import type { EngineContext } from "../context.ts";
import { openNetworkOf } from "./running.ts";
import { openServices } from "./services.ts";

/** The name by which gocker is called to tell names to a container that has no monitor. */
export const nameProcessName = "gocker-names";

type Directories = Pick<EngineContext, "root" | "state">;

/** What such a process knows. */
interface Duty extends Directories {
  /** The container's ID. */
  readonly id: string;
  /** Descriptors: of the sockets of UDP and TCP, of the container's first process, of gocker's binary. */
  readonly names: readonly [udp: number, tcp: number];
  readonly process: number;
  readonly program: number;
}

/** Milliseconds without a question after which it sleeps. */
const idleTime = 3_000;

/**
 * Has a process tell names to a container that belongs to the command which runs it, and has come into its first network
 * with names. It ends when the container does.
 * @throws SystemCallError, GockerError
 */
export async function launchNameProcess({ root, state }: Directories, record: ContainerRecord): Promise<void> {
  using network = openNetworkOf(record);
  using process = openFirstProcess(record.state);
  if (network === undefined || process === undefined) return;
  const found = NameSockets.stateIn(network.namespace);
  // It has been in such a network before, and its process is there.
  if (found === "served") return;
  using opened = NameSockets.open(network.namespace);
  opened.lead(found === "dead" ? "replaces" : "new");
  const [udp, tcp] = opened.sockets;
  using program = openProgram();
  const names = [udp.number, tcp.number] as const;
  const duty = { root, state, id: record.id, names, process: process.number, program: program.number };
  await launchAsleep(sleepOf(duty), []);
}

/**
 * The role of that process when it wakes.
 * @param word what {@link sleepOf} has made of its duty
 */
export async function runNameProcess(word: string | undefined): Promise<void> {
  const duty = parseDuty(word);
  const run = { hasEnded: false };
  const end: Waiting = { fd: duty.process, events: pollEvent.readable, serve: () => void (run.hasEnded = true) };
  serve([end], 0);
  if (run.hasEnded) return;
  const record = ContainerStore.open(duty.root).read(duty.id);
  const services = openServices(duty, record, { names: [...duty.names] });
  while (!run.hasEnded) {
    const lefts = services.map(({ timeout }) => timeout ?? idleTime);
    const isBusy = serve([...services.flatMap((one) => [...one.waiting()]), end], Math.min(idleTime, ...lefts));
    for (const service of services) service.expire();
    if (!isBusy && services.every(({ isIdle }) => isIdle)) fallAsleep(sleepOf(duty), []);
  }
}

/** @returns whether there was anything to do */
function serve(waiting: readonly Waiting[], milliseconds: number): boolean {
  const ready = pollAll(waiting, Math.ceil(milliseconds));
  for (const [index, one] of waiting.entries()) {
    const events = ready[index] ?? 0;
    if (events !== 0) one.serve(events);
  }
  return ready.some((events) => events !== 0);
}

function sleepOf(duty: Duty): Sleep {
  const wakes = [...duty.names, duty.process].map((fd) => ({ fd, events: pollEvent.readable }));
  return { wakes, program: duty.program, argv: [nameProcessName, JSON.stringify(duty)] };
}

function parseDuty(word: string | undefined): Duty {
  try {
    const duty = JSON.parse(word ?? "") as Partial<Duty>;
    if (isDuty(duty)) return duty;
  } catch (error) {
    throw new InvalidDocumentError(`${nameProcessName} is for gocker's own use`, { cause: error });
  }
  throw new InvalidDocumentError(`${nameProcessName} is for gocker's own use`);
}

function isDuty(value: Partial<Duty>): value is Duty {
  const { root, state, id, names, process, program } = value;
  const hasTexts = [root, state, id].every((text) => typeof text === "string");
  return hasTexts && [names?.[0], names?.[1], process, program].every((number) => typeof number === "number");
}
