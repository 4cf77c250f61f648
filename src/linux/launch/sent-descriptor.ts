import { messageWithDescriptor, receiveDescriptor } from "../descriptor-passing.ts";
import { O_CLOEXEC } from "../constants.ts";
import { systemCallError } from "../errno.ts";
import { createSocketPair, openNull, type OwnedFd } from "../fd.ts";
import { processEnded, reap } from "../process.ts";
import { GockerError } from "../../util/errors.ts";
import { launch } from "./launch.ts";
import type { Slot, Step } from "./plan.ts";

/** Where the process has the descriptor that it sends: a number that it has nothing else at. */
const sentDescriptor = 1001;

/** What {@link descriptorFrom} asks for. */
export interface DescriptorRequest {
  /** What a process does to get there, and to open what is wanted. */
  readonly steps: readonly Step[];
  /** Which of the steps' results is sent. */
  readonly result: Slot;
  /** Descriptors that the steps name. */
  readonly descriptors: readonly number[];
  /** What is wanted, as messages call it. */
  readonly what: string;
}

/**
 * A descriptor of something that can only be opened elsewhere, such as in another namespace: a process that lives for a few
 * system calls goes there, opens it and sends it. gocker's threads stay where they are.
 * @throws SystemCallError the step that the kernel refused
 */
export async function descriptorFrom({ steps, result, descriptors, what }: DescriptorRequest): Promise<OwnedFd> {
  using channel = createSocketPair();
  using nothing = openNull();
  const writer = channel.writer.number;
  const group = "namespaces";
  using process = launch({
    namespaces: 0,
    steps: [
      ...steps,
      { label: "Give it a known number", group, syscall: "dup3", args: [result, sentDescriptor, O_CLOEXEC] },
      { label: "Send it", group, syscall: "sendmsg", args: [writer, messageWithDescriptor(sentDescriptor), 0] },
    ],
    stdio: [nothing.number, nothing.number, nothing.number],
    descriptors: [...descriptors, writer],
  });
  channel.writer.close();
  const sent = receiveDescriptor(channel.reader.number, what);
  await processEnded(process.pidfd);
  reap(process.pid);
  if (sent !== undefined) return sent;
  const { fatal } = await process.status.outcome();
  if (fatal === undefined) throw new GockerError("LAUNCH", `${what} did not come`);
  throw systemCallError(fatal.step.syscall, { step: fatal.step.label.toLowerCase() }, fatal.errno);
}
