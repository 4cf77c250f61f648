import { closeSync, constants, openSync } from "node:fs";
import { GockerError } from "../../util/errors.ts";
import { CLONE_NEWNET, O_CLOEXEC } from "../constants.ts";
import { messageWithDescriptor, receiveDescriptor } from "../descriptor-passing.ts";
import { systemCallError } from "../errno.ts";
import { createSocketPair } from "../fd.ts";
import { launch } from "../launch/launch.ts";
import type { Step } from "../launch/plan.ts";
import { processEnded, reap } from "../process.ts";
import { AF_NETLINK, NETLINK_ROUTE, RouteSocket, SOCK_RAW } from "./socket.ts";

/** Where the process has the socket that it sends: a number that it has nothing else at. */
const sentDescriptor = 1001;

/**
 * A socket to the network of another namespace, made there by a process that lives for a few system calls: gocker's
 * threads stay where they are.
 * @param namespace the network namespace's file descriptor
 * @throws SystemCallError
 */
export async function openRouteSocketIn(namespace: number): Promise<RouteSocket> {
  using channel = createSocketPair();
  using cleanup = new DisposableStack();
  const nothing = cleanup.adopt(openSync("/dev/null", constants.O_RDWR), closeSync);
  using process = launch({
    namespaces: 0,
    steps: steps(namespace, channel.writer.number),
    stdio: [nothing, nothing, nothing],
    descriptors: [namespace, channel.writer.number],
  });
  channel.writer.close();
  const socket = receiveDescriptor(channel.reader.number, "the socket to the network settings");
  await processEnded(process.pidfd);
  reap(process.pid);
  if (socket !== undefined) return new RouteSocket(socket);
  const { fatal } = await process.status.outcome();
  if (fatal === undefined) throw new GockerError("NETLINK", "the socket to the container's network did not come");
  throw systemCallError(fatal.step.syscall, { step: fatal.step.label.toLowerCase() }, fatal.errno);
}

function steps(namespace: number, channel: number): Step[] {
  const group = "namespaces";
  const opened = { kind: "slot", name: "network socket" } as const;
  return [
    { label: "Join the network namespace", group, syscall: "setns", args: [namespace, CLONE_NEWNET] },
    {
      label: "Open a socket to the network settings",
      group,
      syscall: "socket",
      args: [AF_NETLINK, SOCK_RAW | O_CLOEXEC, NETLINK_ROUTE],
      result: opened,
    },
    { label: "Give it a known number", group, syscall: "dup3", args: [opened, sentDescriptor, O_CLOEXEC] },
    { label: "Send it", group, syscall: "sendmsg", args: [channel, messageWithDescriptor(sentDescriptor), 0] },
  ];
}
