import { pollEvent } from "../../linux/poll.ts";
import type { MonitorDescriptors } from "./state.ts";

/** What a monitor waits for when there is nothing else: the container's end, its words, its questions, its lack of memory, and somebody who connects. */
export function wakesOf(descriptors: MonitorDescriptors): { readonly fd: number; readonly events: number }[] {
  const { process, listener, stdout, stderr, terminalSocket, terminal, oom, names = [], ports = [] } = descriptors;
  return [process, listener, stdout, stderr, terminalSocket, terminal, oom, ...names, ...ports]
    .filter((fd) => fd !== undefined)
    .map((fd) => ({ fd, events: pollEvent.readable }));
}
