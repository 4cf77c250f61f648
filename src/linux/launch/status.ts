import { errnos } from "../errno.ts";
import { readSome, waitReadable, type OwnedFd } from "../fd.ts";
import { timesMarker, timeSize, type EncodedPlan } from "./encode.ts";
import { pauseMarker, type Step } from "./plan.ts";

/** A step whose system call failed. */
export interface FailedStep {
  readonly step: Step;
  readonly errno: number;
}

/** How the launch went: the plan ran to the program's first instruction, or a step ended it. */
export interface LaunchOutcome {
  /** The step that ended the launch, if one did. */
  readonly fatal?: FailedStep;
  /** Tolerated failures that asked to be reported, in order. */
  readonly reported: readonly FailedStep[];
  /**
   * When each step was done, in nanoseconds of CLOCK_MONOTONIC; 0n for those left out, and for the attempts to execute.
   * Only of a timed launch.
   */
  readonly times?: readonly bigint[];
  /** The number of the child that went on with the plan, of a plan whose first process `tells` it. */
  readonly child?: number;
}

const recordSize = 16;
/** In place of a step's address, see `signOfLife`. */
const lifeMarker = 2n;

/** gocker's end of the pipe on which the interpreter reports; its end means that the user's program runs. */
export class LaunchStatus implements Disposable {
  readonly #reader: OwnedFd;
  readonly #plans: readonly EncodedPlan[];
  #unread: Buffer = Buffer.alloc(0);
  #ended = false;
  readonly #reported: FailedStep[] = [];
  #fatal: FailedStep | undefined;
  #times: bigint[] | undefined;
  #child: number | undefined;
  readonly #pauses = new Set<number>();

  constructor(reader: OwnedFd, plans: readonly EncodedPlan[]) {
    this.#reader = reader;
    this.#plans = plans;
  }

  /** Waits until the process executes the program or gives up. */
  async outcome(): Promise<LaunchOutcome> {
    while (!this.#ended) await this.#readMore();
    const [fatal, times, child] = [this.#fatal, this.#times, this.#child];
    return {
      reported: this.#reported,
      ...(fatal !== undefined && { fatal }),
      ...(times !== undefined && { times }),
      ...(child !== undefined && { child }),
    };
  }

  /**
   * Waits until the plan has come to a pause (see `pauseSteps`).
   * @returns false when the launch has ended before
   */
  async reaches(pause: number): Promise<boolean> {
    while (!this.#pauses.has(pause) && !this.#ended) await this.#readMore();
    return this.#pauses.has(pause);
  }

  /**
   * Waits for the number of the child that goes on with a plan whose first process `tells` it.
   * @returns undefined when the launch has ended before
   */
  async childTold(): Promise<number | undefined> {
    while (this.#child === undefined && !this.#ended) await this.#readMore();
    return this.#child;
  }

  async #readMore(): Promise<void> {
    await waitReadable(this.#reader.number);
    const chunk = readSome(this.#reader.number, new Uint8Array(4096));
    this.#ended = chunk.length === 0;
    this.#unread = Buffer.concat([this.#unread, chunk]);
    let offset = 0;
    while (offset + recordSize <= this.#unread.length) {
      const length = this.#lengthOf(offset);
      if (offset + length > this.#unread.length) break;
      this.#decode(this.#unread.subarray(offset, offset + length));
      offset += length;
    }
    this.#unread = this.#unread.subarray(offset);
  }

  #lengthOf(offset: number): number {
    if (this.#unread.readBigUInt64LE(offset) !== timesMarker) return recordSize;
    return recordSize + Number(this.#unread.readBigUInt64LE(offset + 8));
  }

  #decode(record: Buffer): void {
    const address = record.readBigUInt64LE(0);
    const result = record.readBigInt64LE(8);
    if (address === lifeMarker) return;
    if (address === timesMarker) this.#times = endsOf(decodeTimes(record.subarray(recordSize)));
    else if (address === pauseMarker) this.#pauses.add(Number(result));
    // Only a parent that leaves reports a success, and it does so once.
    else if (result > 0n) this.#child ??= Number(result);
    else {
      const failed = { step: this.#stepAt(address), errno: Number(-result) };
      if (isTolerated(failed)) this.#reported.push(failed);
      else this.#fatal = failed;
    }
  }

  #stepAt(address: bigint): Step {
    for (const plan of this.#plans) {
      const step = plan.stepAt(address);
      if (step !== undefined) return step;
    }
    throw new Error(`the launch reported a step at 0x${address.toString(16)} that no plan has`);
  }

  [Symbol.dispose](): void {
    this.#reader.close();
  }
}

function isTolerated({ step, errno }: FailedStep): boolean {
  const tolerate = step.onError?.tolerate;
  return tolerate === "any" || (tolerate?.some((name) => errnos[name] === errno) ?? false);
}

/** A step has ended when the next one begins. */
function endsOf(beginnings: readonly bigint[]): bigint[] {
  let next = 0n;
  return beginnings
    .toReversed()
    .map((beginning) => {
      if (beginning === 0n) return 0n;
      const end = next;
      next = beginning;
      return end;
    })
    .toReversed();
}

function decodeTimes(block: Buffer): bigint[] {
  const times: bigint[] = [];
  for (let at = 0; at + timeSize <= block.length; at += timeSize) {
    times.push(block.readBigInt64LE(at) * 1_000_000_000n + block.readBigInt64LE(at + 8));
  }
  return times;
}
