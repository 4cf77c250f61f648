import {
  O_CLOEXEC,
  O_NOCTTY,
  O_RDWR,
  TCSETS,
  TIOCGPTPEER,
  TIOCSCTTY,
  TIOCSPTLCK,
  TIOCSWINSZ,
} from "../../linux/constants.ts";
import { messageWithDescriptor } from "../../linux/descriptor-passing.ts";
import type { Slot } from "../../linux/launch/plan.ts";
import { openFileInRoot, type PlanBuilder } from "./builder.ts";

const group = "devices";

/** The descriptors of a terminal's two sides while the plan runs: high, so that they meet no others. */
export const terminalDescriptors = { container: 1001, master: 1002 } as const;

/**
 * A terminal of the container's own devpts; of the one that /dev/ptmx leads to when a directory of the host's is at /dev.
 * Its master side goes over a socket to whoever looks after the container, as
 * `--console-socket` has it. OCI runtime command line interface; unix(7), SCM_RIGHTS; ioctl_tty(2)
 */
export function addTerminal(
  builder: PlanBuilder,
  input: {
    readonly devpts: Slot | undefined;
    readonly socket: number;
    readonly owner: number;
    readonly size: { readonly height: number; readonly width: number } | undefined;
    /** What is written comes out as it is, without a carriage return before each line feed: as runc and crun have it. */
    readonly plainOutput?: boolean | undefined;
  },
): void {
  const { container, master } = terminalDescriptors;
  const opened = builder.addFor("terminal", {
    label: "Open a terminal of the container",
    group,
    ...(input.devpts === undefined
      ? { syscall: "openat2", args: openFileInRoot(builder.root, "dev/ptmx", O_RDWR | O_NOCTTY), path: "/dev/ptmx" }
      : { syscall: "openat", args: [input.devpts, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC], path: "/dev/pts/ptmx" }),
  });
  builder.add({ label: "Keep the terminal's master side", group, syscall: "dup3", args: [opened, master, O_CLOEXEC] });
  builder.add({
    label: "Unlock the terminal",
    group,
    syscall: "ioctl",
    args: [master, TIOCSPTLCK, new Uint8Array(4)],
  });
  // By the master, not by its path: whatever lies at /dev/pts/0 does not matter.
  const peer = builder.addFor("terminal of the container", {
    label: "Open the container's side of the terminal",
    group,
    syscall: "ioctl",
    args: [master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC],
  });
  builder.add({ label: "Keep the container's side", group, syscall: "dup3", args: [peer, container, O_CLOEXEC] });
  const keepGroup = 0xffff_ffff;
  builder.add({
    label: "Give the terminal to the user",
    group,
    syscall: "fchown",
    args: [container, input.owner, keepGroup],
  });
  if (input.size !== undefined) {
    const { height, width } = input.size;
    builder.add({
      label: `Set the terminal's size to ${width}x${height}`,
      group,
      syscall: "ioctl",
      args: [master, TIOCSWINSZ, new Uint8Array(new Uint16Array([height, width, 0, 0]).buffer)],
    });
  }
  if (input.plainOutput === true) {
    builder.add({
      label: "Leave line feeds as they are",
      group,
      syscall: "ioctl",
      args: [master, TCSETS, termiosWithoutCarriageReturns()],
    });
  }
  builder.add({
    label: "Hand the terminal's master side over",
    group,
    syscall: "sendmsg",
    args: [input.socket, messageWithDescriptor(master), 0],
  });
}

/**
 * The kernel's `struct termios` as every new terminal has it (tty_std_termios), without ONLCR. termios(3)
 */
function termiosWithoutCarriageReturns(): Uint8Array {
  const input = 0o2400; // ICRNL, IXON
  const output = 0o1; // OPOST
  const control = 0o277; // B38400, CS8, CREAD
  const local = 0o105073; // ISIG, ICANON, ECHO, ECHOE, ECHOK, ECHOCTL, ECHOKE, IEXTEN
  // ^C, ^\\, ^?, ^U, ^D, 0 and 1 for non-canonical reading, ^Q, ^S, ^Z, ^R, ^O, ^W, ^V
  const characters = [3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0];
  const termios = new Uint8Array(36);
  new Uint32Array(termios.buffer, 0, 4).set([input, output, control, local]);
  termios.set(characters, 17);
  return termios;
}

/** The terminal becomes the controlling one and descriptors 0, 1 and 2. After setsid. */
export function addTerminalAsStdio(builder: PlanBuilder): void {
  const { container } = terminalDescriptors;
  builder.add({
    label: "Take the terminal as the session's own",
    group: "process",
    syscall: "ioctl",
    args: [container, TIOCSCTTY, 0],
  });
  for (const target of [0, 1, 2]) {
    builder.add({
      label: `Connect descriptor ${target} to the terminal`,
      group: "process",
      syscall: "dup3",
      args: [container, target, 0],
    });
  }
}
