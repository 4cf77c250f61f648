import { signalName } from "../../linux/signals.ts";
import { GockerError } from "../../util/errors.ts";

/** A signal ended gocker before it was through. */
export class InterruptedError extends GockerError {
  override readonly name = "InterruptedError";
  /** Its number. */
  readonly signal: number;

  constructor(signal: number) {
    super("INTERRUPTED", `ended by ${signalName(signal)}`);
    this.signal = signal;
  }
}
