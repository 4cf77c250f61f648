import { InvalidDocumentError } from "../../util/errors.ts";

/** The name by which gocker is called to be a monitor. */
export const monitorName = "gocker-monitor";

/** What a monitor knows that it cannot look up, on its way from one program to the next: the second word of its call. */
export interface MonitorState {
  readonly id: string;
  /** gocker's root and state directories. */
  readonly root: string;
  readonly state: string;
  readonly descriptors: MonitorDescriptors;
  /** The input ends with the connection of whoever gives it. */
  readonly inputOnce: boolean;
  /** How often a policy has started the container again. */
  readonly restarts: number;
  /** When it is to be started again, in milliseconds since 1970: it does not run now. */
  readonly startAt?: number;
  /** Milliseconds of the wait before that. */
  readonly pause?: number;
  /** When its health is to be looked at next, in milliseconds since 1970. */
  readonly probeAt?: number;
}

/** The open files that a monitor has, by their numbers. */
export interface MonitorDescriptors {
  /** The lock of the container. */
  readonly lock: number;
  /** gocker's binary. */
  readonly program: number;
  /** The socket on which it is spoken to. */
  readonly listener: number;
  /** A pidfd of the container's first process; absent when that has ended. */
  readonly process?: number;
  /** The reading ends of the container's outputs. */
  readonly stdout?: number;
  readonly stderr?: number;
  /** The writing end of its input. */
  readonly stdin?: number;
  /** A socket on which the master side of its terminal comes; and that. */
  readonly terminalSocket?: number;
  readonly terminal?: number;
  /** The other side of that, which nobody in the container had open for a while. */
  readonly terminalPeer?: number;
  /** What tells of processes that are killed for lack of memory; absent where memory is not limited. */
  readonly oom?: number;
  /** Where the container asks for names, by UDP and by TCP. */
  readonly names?: readonly number[];
  /** Where its published ports are reached on the host, as far as the firewall does not lead there at once. */
  readonly ports?: readonly number[];
}

/** The words by which gocker is called as the monitor of a container. */
export function monitorWords(state: MonitorState): string[] {
  return [monitorName, JSON.stringify(state)];
}

/** @throws InvalidDocumentError somebody else has called gocker by that name */
export function parseMonitorState(word: string | undefined): MonitorState {
  try {
    const state = JSON.parse(word ?? "") as MonitorState;
    if (typeof state.id === "string" && typeof state.descriptors.lock === "number") return state;
  } catch (error) {
    throw new InvalidDocumentError(`${monitorName} is for gocker's own use`, { cause: error });
  }
  throw new InvalidDocumentError(`${monitorName} is for gocker's own use`);
}

/** The numbers of all descriptors that a monitor has. */
export function descriptorsOf({ descriptors }: MonitorState): number[] {
  return Object.values(descriptors).flat();
}
