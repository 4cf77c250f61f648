import { FFIType, linkSymbols, ptr, toArrayBuffer, type Pointer } from "bun:ffi";
import { hostArchitecture } from "../arch.ts";
import {
  AT_EMPTY_PATH,
  CLONE_CLEAR_SIGHAND,
  CLONE_INTO_CGROUP,
  CLONE_NEWUSER,
  CLONE_PIDFD,
  CLONE_VFORK,
  CLONE_VM,
  CLOSE_RANGE_CLOEXEC,
  F_SETFD,
  MAP_ANONYMOUS,
  MAP_PRIVATE,
  PR_SET_DUMPABLE,
  SIGCHLD,
} from "../constants.ts";
import { errno, libc } from "../libc.ts";
import { errnos, systemCallError } from "../errno.ts";
import { createPipe, createSealedMemfd, duplicate, OwnedFd } from "../fd.ts";
import { acceptDeadChildren, ignoredSignals } from "../signal-dispositions.ts";
import { encodePlan, type EncodedPlan } from "./encode.ts";
import { machineCode } from "./machine-code.ts";
import { LaunchStatus } from "./status.ts";
import { stubDataAddress, stubExecutable } from "./stub.ts";
import { words, type Step } from "./plan.ts";

/**
 * A process to be: the namespaces and the cgroup it is born into, and what it does before it is the user's program. It
 * begins with every signal at its default; which are blocked it has from gocker.
 */
export interface LaunchRequest {
  /** CLONE_NEW… flags. */
  readonly namespaces: number;
  /** A directory of cgroup v2 in which the process is born. */
  readonly intoCgroup?: number | undefined;
  readonly steps: readonly Step[];
  /** What becomes the process's descriptors 0, 1 and 2: numbers above 2, or those of gocker itself in their places. */
  readonly stdio: readonly [number, number, number];
  /** Descriptors that the steps name: open in the process under the same numbers until it executes. */
  readonly descriptors?: readonly number[];
  /** What the process is called with until it executes something: `gocker` unless told. proc_pid_cmdline(5) */
  readonly argv?: readonly string[];
  /** Take the time of each step. */
  readonly timed?: boolean;
}

/** A process that runs its plan. The owner waits for {@link status} and then for the process itself. */
export interface LaunchedProcess extends Disposable {
  readonly pid: number;
  /** Readable when the process has ended. pidfd_open(2) */
  readonly pidfd: OwnedFd;
  readonly status: LaunchStatus;
}

const pageSize = 0x1_0000;
const cloneArgsSize = 88;
const stackSize = 0x1000;

type Spawn = (args: Pointer, size: number, plan: Pointer) => number | bigint;
let spawner: Spawn | undefined;

/** Puts the interpreter into executable memory, once per process. */
function loadSpawner(): Spawn {
  if (spawner !== undefined) return spawner;
  const protection = { readWrite: 3, readExecute: 5 };
  const page = libc.mmap(0, pageSize, protection.readWrite, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) as Pointer;
  const code = Buffer.from(machineCode[hostArchitecture].hex, "hex");
  new Uint8Array(toArrayBuffer(page, 0, pageSize)).set(code);
  if (libc.mprotect(page, pageSize, protection.readExecute) < 0) throw systemCallError("mprotect");
  const { spawn } = linkSymbols({
    spawn: { ptr: page, args: ["ptr", FFIType.u64_fast, "ptr"], returns: FFIType.i64_fast },
  }).symbols;
  spawner = spawn as unknown as Spawn;
  return spawner;
}

/**
 * Starts a process that runs the plan and returns while it does. The child shares gocker's memory only until it
 * executes the stub, which is its first deed: the plan itself runs in a process that never held anything of gocker.
 * @throws SystemCallError when the process cannot be made; what fails later is told by {@link LaunchedProcess.status}
 */
export function launch(request: LaunchRequest): LaunchedProcess {
  using cleanup = new DisposableStack();
  const status = createPipe();
  cleanup.use(status);
  // Above all that the steps name, with room between: so that a plan can close what is on either side of it.
  const least = Math.max(0, ...(request.descriptors ?? [])) + 2;
  using writer = status.writer.number < least ? duplicate(status.writer.number, least) : status.writer;
  const statusFd = writer.number;
  const plan = encodePlan(request.steps, {
    architecture: hostArchitecture,
    base: stubDataAddress,
    statusFd,
    timed: request.timed ?? false,
  });
  using stub = createSealedMemfd("gocker", stubExecutable(hostArchitecture, plan.bytes));
  const prelude = encodePrelude(request, statusFd, stub.number);

  const memory = new CloneMemory(request);
  const spawn = loadSpawner();
  acceptDeadChildren();
  // Until the child executes the stub it has gocker's memory, and a process of the new pid namespace could look into it.
  if (libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
    throw systemCallError("prctl", { step: "make gocker unreadable" }, errno());
  const result = Number(spawn(memory.address, cloneArgsSize, ptr(prelude.bytes)));
  if (result < 0) {
    const hint = hintFor(-result, request);
    throw systemCallError("clone3", { step: "make the container's first process", hint }, -result);
  }

  status.writer.close();
  writer.close();
  cleanup.move();
  return new Process(result, new OwnedFd(memory.pidfd()), new LaunchStatus(status.reader, [prelude, plan]));
}

/** What the kernel's refusal may come from. clone(2), cgroup-v2.rst, "Delegation Containment" */
function hintFor(number: number, { namespaces, intoCgroup }: LaunchRequest): string | undefined {
  if (intoCgroup !== undefined && number === errnos.EACCES) {
    return "who puts a process into a cgroup must be allowed to write to the cgroup.procs of one above both that and its own";
  }
  const isRefused = [errnos.EPERM, errnos.ENOSPC, errnos.EUSERS].some((one) => one === number);
  if ((namespaces & CLONE_NEWUSER) === 0 || !isRefused) return undefined;
  return "this host may allow no user namespaces, or not to users: see user.max_user_namespaces, kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns";
}

/**
 * What clone3(2) reads and writes: `struct clone_args`, room for the pidfd, and the child's stack. One piece of memory,
 * which the reading of the pidfd keeps alive until the child has left it.
 */
class CloneMemory {
  readonly #view: DataView;

  constructor({ namespaces, intoCgroup }: LaunchRequest) {
    const stackOffset = 0x100;
    this.#view = new DataView(new ArrayBuffer(stackOffset + stackSize + 16));
    const start = this.address;
    const flags = BigInt(namespaces | CLONE_VM | CLONE_VFORK | CLONE_PIDFD) | CLONE_CLEAR_SIGHAND;
    const set = (index: number, value: bigint) => this.#view.setBigUint64(index * 8, value, true);
    set(0, intoCgroup === undefined ? flags : flags | CLONE_INTO_CGROUP);
    set(1, BigInt(start + cloneArgsSize));
    set(4, BigInt(SIGCHLD));
    // Where the stack ends must be a multiple of 16.
    set(5, BigInt(start + stackOffset));
    set(6, BigInt(stackSize - (start % 16)));
    if (intoCgroup !== undefined) set(10, BigInt(intoCgroup));
  }

  get address(): Pointer {
    return ptr(this.#view);
  }

  /** What clone3 wrote. */
  pidfd(): number {
    return this.#view.getInt32(cloneArgsSize, true);
  }
}

class Process implements LaunchedProcess {
  readonly pid: number;
  readonly pidfd: OwnedFd;
  readonly status: LaunchStatus;

  constructor(pid: number, pidfd: OwnedFd, status: LaunchStatus) {
    this.pid = pid;
    this.pidfd = pidfd;
    this.status = status;
  }

  [Symbol.dispose](): void {
    this.pidfd.close();
    this.status[Symbol.dispose]();
  }
}

/** What the child does in gocker's memory: it keeps the descriptors that it needs and executes the stub. */
function encodePrelude(request: LaunchRequest, statusFd: number, stubFd: number): EncodedPlan {
  const { argv = ["gocker"] } = request;
  const connections = [...request.stdio.entries()];
  const bases = connections.filter(([target, source]) => target !== source);
  for (const [, source] of bases) if (source < 3) throw new RangeError("standard descriptors cannot change places");
  // Bun opens those of its standard descriptors that were closed, to be closed when executing.
  const own = connections.filter(([target, source]) => target === source).map(([target]) => target);
  const kept = [statusFd, ...own, ...(request.descriptors ?? [])];
  const steps: Step[] = [
    ...ignoredSignals().map((signal) =>
      step(`Let signal ${signal} do what it does by default`, "rt_sigaction", [signal, new Uint8Array(32), 0, 8]),
    ),
    step("Close gocker's files when executing", "close_range", [3, 0xffff_ffff, CLOSE_RANGE_CLOEXEC]),
    ...kept.map((fd) => step(`Keep descriptor ${fd}`, "fcntl", [fd, F_SETFD, 0])),
    ...bases.map(([target, source]) => step(`Connect descriptor ${target}`, "dup3", [source, target, 0])),
    step("Leave gocker's memory for the stub", "execveat", [stubFd, "", words(...argv, 0), words(0), AT_EMPTY_PATH]),
  ];
  const size = encodePlan(steps, { architecture: hostArchitecture, base: 0, statusFd }).bytes.length;
  // Over an ArrayBuffer: the bytes of a small array without one move when a view of them is made.
  const memory = new Uint8Array(new ArrayBuffer(size + 16));
  const base = Math.ceil(ptr(memory) / 16) * 16;
  const encoded = encodePlan(steps, { architecture: hostArchitecture, base, statusFd });
  const bytes = memory.subarray(base - ptr(memory));
  bytes.set(encoded.bytes);
  return { ...encoded, bytes };
}

function step(label: string, syscall: Step["syscall"], args: Step["args"]): Step {
  return { label, group: "process", syscall, args };
}
