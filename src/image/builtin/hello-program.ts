import type { Architecture } from "../../linux/arch.ts";
import { encodePlan } from "../../linux/launch/encode.ts";
import { slot, type Step } from "../../linux/launch/plan.ts";
import { stubDataAddress, stubExecutable } from "../../linux/launch/stub.ts";
import { call, ifZero, TextProgram } from "./program.ts";

/** prctl(2) */
const PR_GET_SECCOMP = 21;
const PR_CAPBSET_READ = 23;

/** As many as the kernel's 64-bit masks can hold. The call fails for those that the kernel does not know. */
const capabilities = Array.from({ length: 64 }, (_, number) => number);

/** Where the interpreter would report a step that fails for good. The program tolerates every error by itself. */
const standardError = 2;

/**
 * The program of the image gocker/hello: a static ELF executable, made of the interpreter that launches containers and
 * of a plan that asks the kernel what the process is, sees and may do, and prints it.
 */
export function helloExecutable(architecture: Architecture): Uint8Array {
  const plan = encodePlan(helloSteps(), { architecture, base: stubDataAddress, statusFd: standardError });
  const parts = stubExecutable(architecture, plan.bytes);
  const file = new Uint8Array(Math.max(...parts.map(({ offset, bytes }) => offset + bytes.length)));
  for (const { offset, bytes } of parts) file.set(bytes, offset);
  return file;
}

function helloSteps(): Step[] {
  const program = new TextProgram();
  const heading = (text: string) => program.text(`\n${text}\n`);
  const row = (label: readonly Step[], ...text: readonly Step[][]) => [
    ...program.text("  "),
    ...program.column(22, label),
    ...text.flat(),
    ...program.text("\n"),
  ];
  const namespace = (name: string, meaning: string, value: readonly Step[] = []) =>
    row(program.link(`/proc/self/ns/${name}`), program.text(meaning), [...value]);
  return program.print([
    ...heading("Hello from gocker!"),
    ...program.text(
      "\nA container wrote this: an ordinary process of this machine, to which Linux shows\n" +
        "little and allows little. No daemon and no other program helped.\n",
    ),
    ...heading("What it sees"),
    ...namespace("mnt", "file systems of its own: the image's, and what -v adds"),
    ...namespace("pid", "processes of its own: it is number ", program.link("/proc/self")),
    ...namespace("uts", "a host name of its own: ", program.line("/proc/sys/kernel/hostname")),
    ...namespace("ipc", "shared memory and message queues of its own"),
    ...namespace("cgroup", "a control group, which counts and limits what it uses"),
    ...namespace("net", "a network: the host's or its own, as --network says"),
    ...row(
      program.text("kernel"),
      program.text("the machine's, which all its containers share: "),
      program.line("/proc/sys/kernel/osrelease"),
    ),
    ...heading("What it may do"),
    ...row(program.text("user"), user(program)),
    ...row(
      program.text("capabilities"),
      countCapabilities(program, "held"),
      program.text(" of the "),
      countCapabilities(program, "known"),
      program.text(" into which Linux divides the rights of root"),
    ),
    ...row(program.text("system calls"), systemCalls(program)),
    ...heading("Try next"),
    ...program.text(
      "  gocker run -it alpine sh                 a shell in Alpine Linux\n" +
        "  gocker run --explain gocker/hello        every step that made this container\n" +
        "  gocker run --cap-drop all gocker/hello   the same with fewer rights\n" +
        "  gocker --help                            everything else\n\n",
    ),
  ]);
}

function user(program: TextProgram): Step[] {
  const id = slot("user ID");
  return [
    call("getuid", [], { result: id }),
    ...ifZero(
      id,
      program.text("root of the container"),
      program.text("not root: only files that carry capabilities give it any"),
    ),
  ];
}

/** How many capabilities the process could ever have, or how many the kernel has. capabilities(7), bounding set */
function countCapabilities(program: TextProgram, which: "held" | "known"): Step[] {
  const bit = slot("capability");
  return program.sum(
    capabilities.map((number) => ({
      call: call("prctl", [PR_CAPBSET_READ, number], { result: bit }),
      addend: which === "held" ? bit : 1,
    })),
  );
}

function systemCalls(program: TextProgram): Step[] {
  const mode = slot("seccomp mode");
  return [
    call("prctl", [PR_GET_SECCOMP], { result: mode }),
    ...ifZero(
      mode,
      program.text("all: no seccomp filter is in force"),
      program.text("those that a seccomp filter lets through"),
    ),
  ];
}
