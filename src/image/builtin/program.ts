import { AT_FDCWD, MFD_CLOEXEC } from "../../linux/constants.ts";
import { slot, type Slot, type Step, words } from "../../linux/launch/plan.ts";

/** mmap(2), lseek(2) */
const PROT_READ = 1;
const MAP_SHARED = 1;
const SEEK_SET = 0;
const SEEK_CUR = 1;

const standardOutput = 1;
const standardError = 2;

/** A host name has 64 characters, the name of a namespace about 20. */
const valueSize = 256;
/** Where a program's text is mapped to be written out at once; much more than it can be. */
const pageSize = 0x1_0000;

/** What becomes of a step's result, and which steps are left out. */
type Outcome = Pick<Step, "result" | "onError" | "onSuccess">;

/**
 * Building blocks of a program that the interpreter of launch plans runs: it makes system calls one after the other
 * and can only skip some, so the kernel does what else is needed. The text grows in a file in memory, whose position
 * is the cursor, and is written to standard output at once.
 */
export class TextProgram {
  readonly #page = slot("page");
  /** Reused for every value: what was read goes to the page before the next is read. */
  readonly #value = new Uint8Array(valueSize);

  /** The whole program: exit code 0, or 1 with a message when the text cannot be written. */
  print(text: readonly Step[]): Step[] {
    const address = slot("address");
    const length = slot("length");
    return [
      ...orExit(call("memfd_create", ["text", MFD_CLOEXEC], { result: this.#page })),
      ...text,
      call("lseek", [this.#page, 0, SEEK_CUR], { result: length }),
      ...orExit(call("mmap", [0, pageSize, PROT_READ, MAP_SHARED, this.#page, 0], { result: address })),
      ...orExit(call("write", [standardOutput, address, length])),
    ];
  }

  text(text: string): Step[] {
    const bytes = Buffer.from(text);
    return [call("write", [this.#page, bytes, bytes.length])];
  }

  /** Where a symbolic link leads; nothing when there is none. */
  link(path: string): Step[] {
    const length = slot("length");
    return [
      call("readlinkat", [AT_FDCWD, path, this.#value, valueSize], { result: length, ...skipOnError(1) }),
      call("write", [this.#page, this.#value, length]),
    ];
  }

  /** The only line of a file, without its end; nothing when it cannot be read. */
  line(path: string): Step[] {
    const file = slot("file");
    const length = slot("length");
    return [
      call("openat", [AT_FDCWD, path, 0], { result: file, ...skipOnError(3) }),
      call("read", [file, this.#value, valueSize], { result: length, ...skipOnError(2) }),
      call("write", [this.#page, this.#value, length]),
      call("lseek", [this.#page, -1, SEEK_CUR]),
    ];
  }

  /** A text in a column of its own: filled up with spaces, and cut off where it is longer. */
  column(width: number, text: readonly Step[]): Step[] {
    const start = slot("start");
    return [
      call("lseek", [this.#page, 0, SEEK_CUR], { result: start }),
      ...this.text(" ".repeat(width)),
      call("lseek", [this.#page, start, SEEK_SET]),
      ...text,
      call("lseek", [this.#page, start, SEEK_SET]),
      call("lseek", [this.#page, width, SEEK_CUR]),
    ];
  }

  /**
   * The sum of numbers that system calls yield, up to 99, in two columns; the first call that fails ends the addition.
   * It is the position in a file that holds every number's digits, so that reading there gives the text.
   */
  sum(addends: readonly { readonly call: Step; readonly addend: Slot | 1 }[]): Step[] {
    const digits = slot("digits");
    const table = Buffer.from(Array.from({ length: 100 }, (_, number) => String(number).padStart(2)).join(""));
    const additions = addends.flatMap(({ call: yielding, addend }, index) => {
      const rest = (addends.length - index) * 3 - 1;
      const advance = call("lseek", [digits, addend, SEEK_CUR]);
      return [{ ...yielding, ...skipOnError(rest) }, advance, advance];
    });
    return [
      ...orExit(call("memfd_create", ["digits", MFD_CLOEXEC], { result: digits })),
      call("write", [digits, table, table.length]),
      call("lseek", [digits, 0, SEEK_SET]),
      ...additions,
      call("read", [digits, this.#value, 2]),
      call("write", [this.#page, this.#value, 2]),
    ];
  }
}

/** One step; whatever error comes is tolerated. */
export function call(syscall: Step["syscall"], args: Step["args"], outcome: Outcome = {}): Step {
  return { label: syscall, group: "process", syscall, args, onError: { tolerate: "any" }, ...outcome };
}

/** One of two texts, by whether a number that a system call yielded is zero. */
export function ifZero(number: Slot, zero: readonly Step[], other: readonly Step[]): Step[] {
  const noTime = words(0, 0);
  return [
    // Waiting for no files, for no time: succeeds. Waiting for more of them is a fault, since there is no list.
    call("ppoll", [0, number, noTime, 0, 0], skipOnError(zero.length + 1)),
    ...zero,
    call("getpid", [], { onSuccess: { skip: other.length } }),
    ...other,
  ];
}

function skipOnError(skip: number): Outcome {
  return { onError: { tolerate: "any", skip } };
}

/** A step without which the program has nothing to say. */
function orExit(step: Step): Step[] {
  const message = Buffer.from("hello: cannot write the greeting\n");
  return [
    { ...step, onSuccess: { skip: 2 } },
    call("write", [standardError, message, message.length]),
    call("exit_group", [1]),
  ];
}
