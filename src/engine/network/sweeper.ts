import { launchAsleep } from "../../linux/launch/asleep.ts";
import { fallAsleep } from "../../linux/launch/sleep.ts";
import type { FileLock } from "../../linux/lock.ts";
import { openProgram } from "../../linux/program.ts";
import { NetworkStore } from "../../network/networks.ts";
import { sweepHost } from "../../network/sweep.ts";
import { InvalidDocumentError } from "../../util/errors.ts";
import type { EngineContext } from "../context.ts";

/** The name by which gocker is called to look for what is not used of networks. */
export const sweeperName = "gocker-sweeper";

type Directories = Pick<EngineContext, "root" | "state">;

/** What a sweeper knows: the descriptor of the lock that it has, besides. */
type Duty = Directories & { readonly lock: number };

/**
 * Milliseconds that a bridge stays when its last container has ended: the next one comes soon, mostly, and would have to
 * make it anew.
 */
const patience = 2_000;

/**
 * Has a process look in a while whether the host's side of networks is still used. To take a bridge away takes the kernel
 * some tens of milliseconds, for which no command and no container has to wait. It sleeps as a monitor does, holding a lock
 * by which all others know that it is there.
 * @param lock `NetworkStore.trySweeping`: that process has it from now on
 * @throws SystemCallError
 */
export async function launchSweeper({ root, state }: Directories, lock: FileLock): Promise<void> {
  using program = openProgram();
  const argv = argumentsOf({ root, state, lock: lock.descriptor });
  await launchAsleep({ wakes: [], timeout: patience, program: program.number, argv }, [lock.descriptor]);
}

/**
 * The role of that process when it wakes.
 * @param word what {@link argumentsOf} has made of its duty
 */
export async function runSweeper(word: string | undefined): Promise<void> {
  const duty = parseDuty(word);
  const store = new NetworkStore(duty.root, duty.state);
  const rested = store.endpoints.restTime();
  // The state directory has been removed, and is not to come back.
  if (rested === undefined) return;
  const left = patience - rested;
  // Not more than that, should the clock have been set back.
  if (left > 0) sleepAgain(duty, Math.min(left, patience));
  let lock: FileLock | undefined = store.inheritSweeping(duty.lock);
  while (lock !== undefined) {
    const isUsed = await sweepHost(store);
    lock.release();
    // Whoever has ended since then has found the lock held, and relies on this process.
    lock = isUsed && store.endpoints.isEmpty() ? store.trySweeping() : undefined;
  }
}

function sleepAgain(duty: Duty, timeout: number): never {
  const program = openProgram().number;
  fallAsleep({ wakes: [], timeout, program, argv: argumentsOf(duty) }, [duty.lock]);
}

function argumentsOf(duty: Duty): string[] {
  return [sweeperName, JSON.stringify(duty)];
}

function parseDuty(word: string | undefined): Duty {
  try {
    const { root, state, lock } = JSON.parse(word ?? "") as Partial<Duty>;
    if (typeof root === "string" && typeof state === "string" && typeof lock === "number") return { root, state, lock };
  } catch (error) {
    throw new InvalidDocumentError(`${sweeperName} is for gocker's own use`, { cause: error });
  }
  throw new InvalidDocumentError(`${sweeperName} is for gocker's own use`);
}
