import type { ProgressListener } from "../image/progress.ts";
import type { Step } from "../linux/launch/plan.ts";
import type { Attachment } from "../network/endpoints.ts";

/** A device of a container and the network that it is in: see `Attachment`. */
export type ExplainedAttachment = Pick<
  Attachment,
  "device" | "port" | "network" | "hardwareAddress" | "addresses" | "gateways" | "gatewayPriority"
>;

/** A launch plan for people to read, before or after it was run. */
export interface ExplainedPlan {
  /** The CLONE_… flags with which the container's first process is made. */
  readonly clone: { readonly flags: bigint };
  /** What its network, which was made before it, has of others; absent for one that is made with it, or is somebody else's. */
  readonly attachments?: readonly ExplainedAttachment[];
  readonly steps: readonly Step[];
  /** How long each step took, in nanoseconds; 0 for one that was left out. Absent: the plan has not been run. */
  readonly times?: readonly number[];
}

/** What a verb tells while it works. It never prints: whoever called it decides what is shown, and where. */
export interface RunUi {
  /** The image is pulled. */
  readonly onPullProgress?: ProgressListener;
  /** What is being done now: `Running [echo hello] on image ubuntu:22.10`. */
  onLog(message: string): void;
  /** A container begins whose outputs nobody is shown. @param id its ID */
  onUnseen?(id: string): void;
  /** The launch plan, when the options asked for it. */
  onExplain?(plan: ExplainedPlan): void;
  /** Something that the user should know and that does not stop the verb. */
  warn(message: string): void;
}
