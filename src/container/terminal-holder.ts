import { O_NONBLOCK } from "../linux/constants.ts";
import { openFileFlags, openNull, type OwnedFd, setOpenFileFlags } from "../linux/fd.ts";
import { launch } from "../linux/launch/launch.ts";
import { statusDescriptor, type Step, words } from "../linux/launch/plan.ts";

/** What a terminal gives at once at most. */
const pieceSize = 4096;
/** How often is read before the program executes itself: the steps of a plan know no loop. */
const pieces = 64;

/**
 * Leaves a process of a few kilobytes behind that holds a terminal's master side and throws away what is written to it, until
 * nobody has the other side open: programs of a terminal whose master side is closed are hung up, and those wait for ever
 * whose output nobody reads. pty(7)
 * @throws SystemCallError
 */
export function holdTerminal(master: OwnedFd): void {
  // Whoever showed the terminal until now did not wait in its reads.
  setOpenFileFlags(master.number, openFileFlags(master.number) & ~O_NONBLOCK);
  using nothing = openNull();
  // Its end is noticed by nobody: gocker leaves before.
  using _holder = launch({
    namespaces: 0,
    steps: holderSteps(master.number),
    stdio: [nothing.number, nothing.number, nothing.number],
    descriptors: [master.number],
  });
}

/** Carried out again and again; the read fails that finds the terminal closed, and so ends it. */
function holderSteps(master: number): Step[] {
  const group = "process";
  const buffer = new Uint8Array(pieceSize);
  return [
    // From the second time on it is there already, and nobody listens.
    { label: "Leave gocker's session", group, syscall: "setsid", args: [], onError: { tolerate: ["EPERM"] } },
    { label: "Go on alone", group, syscall: "close", args: [statusDescriptor], onError: { tolerate: ["EBADF"] } },
    ...Array.from({ length: pieces }, (): Step => {
      return { label: "Read what is written", group, syscall: "read", args: [master, buffer, buffer.length] };
    }),
    { label: "Begin anew", group, syscall: "execve", args: ["/proc/self/exe", words("gocker", 0), words(0)] },
  ];
}
