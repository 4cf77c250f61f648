/** Launches a program that shows which signals it ignores, and waits for it. Run by launch.test.ts. */
import { CLOSE_RANGE_CLOEXEC } from "../../../../src/linux/constants.ts";
import { launch } from "../../../../src/linux/launch/launch.ts";
import { words } from "../../../../src/linux/launch/plan.ts";
import { exitCodeOf, processEnded, reap } from "../../../../src/linux/process.ts";

const argv = words("sed", "-n", "/^SigIgn/{p;q5}", "/proc/self/status", 0);
using child = launch({
  namespaces: 0,
  steps: [
    { label: "close", group: "process", syscall: "close_range", args: [3, 0xffff_ffff, CLOSE_RANGE_CLOEXEC] },
    { label: "execute", group: "process", syscall: "execve", args: ["/bin/sed", argv, words(0)] },
  ],
  stdio: [0, 1, 2],
});
await processEnded(child.pidfd);
console.log(`exit ${exitCodeOf(reap(child.pid))}`);
