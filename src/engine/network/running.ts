import { openFirstProcess } from "../../container/first-process.ts";
import type { ContainerRecord } from "../../container/record.ts";
import { openNamespaceOf } from "../../linux/namespace.ts";
import { sendSignal } from "../../linux/process.ts";
import type { RunningContainer } from "../../network/hot-plug.ts";

/** The network namespace of a container that runs; undefined when it does not. */
export function openNetworkOf({ id, name, state }: ContainerRecord): (RunningContainer & Disposable) | undefined {
  const { pid } = state;
  using process = openFirstProcess(state);
  if (process === undefined || pid === undefined) return undefined;
  const opened = openNamespaceOf(pid, "net");
  // What was opened is this process's if it still lives: its number is not used again before that.
  if (opened === undefined || !sendSignal(process, 0)) {
    opened?.[Symbol.dispose]();
    return undefined;
  }
  return { id, name, namespace: opened.file.number, [Symbol.dispose]: () => opened[Symbol.dispose]() };
}
