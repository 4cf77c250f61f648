import { errnos } from "../errno.ts";
import { readSome, waitReadable, type OwnedFd } from "../fd.ts";
import { timesMarker, timeSize, type EncodedPlan } from "./encode.ts";
import type { Step } from "./plan.ts";

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
}

const recordSize = 16;
/** In place of a step's address, see `signOfLife`. */
const lifeMarker = 2n;

/** gocker's end of the pipe on which the interpreter reports; its end means that the user's program runs. */
export class LaunchStatus implements Disposable {
  readonly #reader: OwnedFd;
  readonly #plans: readonly EncodedPlan[];

  constructor(reader: OwnedFd, plans: readonly EncodedPlan[]) {
    this.#reader = reader;
    this.#plans = plans;
  }

  /** Waits until the process executes the program or gives up. */
  async outcome(): Promise<LaunchOutcome> {
    const chunks: Uint8Array[] = [];
    for (;;) {
      await waitReadable(this.#reader.number);
      const chunk = readSome(this.#reader.number, new Uint8Array(4096));
      if (chunk.length === 0) return this.#decode(Buffer.concat(chunks));
      chunks.push(chunk);
    }
  }

  #decode(bytes: Buffer): LaunchOutcome {
    const reported: FailedStep[] = [];
    let fatal: FailedStep | undefined;
    let times: bigint[] | undefined;
    let offset = 0;
    while (offset + recordSize <= bytes.length) {
      const address = bytes.readBigUInt64LE(offset);
      const result = bytes.readBigInt64LE(offset + 8);
      offset += recordSize;
      if (address === timesMarker) {
        times = endsOf(decodeTimes(bytes.subarray(offset, offset + Number(result))));
        offset += Number(result);
        continue;
      }
      if (address === lifeMarker) continue;
      const failed = { step: this.#stepAt(address), errno: Number(-result) };
      if (isTolerated(failed)) reported.push(failed);
      else fatal = failed;
    }
    return { reported, ...(fatal !== undefined && { fatal }), ...(times !== undefined && { times }) };
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
