import { UsageError } from "../util/errors.ts";

/** What Docker has: ctrl-p and then ctrl-q. */
export const defaultDetachKeys = "ctrl-p,ctrl-q";

/** The control characters from 0 to 31 by what is pressed together with ctrl: ctrl-@ is NUL, ctrl-a is 1. ascii(7) */
const controlKeys = "@abcdefghijklmnopqrstuvwxyz[\\]^_";
const deleteKey = 127;

/**
 * The bytes that a terminal sends for a sequence of keys as Docker's `--detach-keys` writes it: keys between commas, each
 * an ASCII character, `DEL`, or `ctrl-` and one of a to z, `@`, `[`, `\`, `]`, `^` and `_`.
 * @throws UsageError one of them is no key
 */
export function parseDetachKeys(text: string): Uint8Array {
  return Uint8Array.from(text.split(","), (key) => {
    const byte = byteOf(key);
    if (byte !== undefined) return byte;
    throw new UsageError(`invalid detach keys ${JSON.stringify(text)}: ${JSON.stringify(key)} is no key`, {
      hint: "keys stand between commas: a character, DEL, or ctrl- and one of a to z, @, [, \\, ], ^ and _",
    });
  });
}

function byteOf(key: string): number | undefined {
  if (key.length === 1) return key.charCodeAt(0) <= deleteKey ? key.charCodeAt(0) : undefined;
  if (key === "DEL") return deleteKey;
  const [prefix, character] = [key.slice(0, -1), key.slice(-1)];
  const number = prefix === "ctrl-" ? controlKeys.indexOf(character) : -1;
  return number < 0 ? undefined : number;
}

/** What {@link KeySequence.take} makes of what was typed. */
export interface TypedKeys {
  /** What goes on to the program. */
  readonly passed: Uint8Array;
  /** The sequence is complete: neither it nor what was typed after it goes anywhere. */
  readonly complete: boolean;
}

/**
 * Looks for a sequence of keys in what is typed. As long as keys may be the beginning of the sequence they are held back;
 * what turns out to be something else goes on, in its order and whole.
 */
export class KeySequence {
  readonly #sequence: Uint8Array;
  /** How many of its keys were typed: those that are held back. */
  #held = 0;

  /** @param sequence one byte or more */
  constructor(sequence: Uint8Array) {
    this.#sequence = sequence;
  }

  /** Takes the next bytes, as many as come at once. */
  take(typed: Uint8Array): TypedKeys {
    const sequence = this.#sequence;
    const passed = new Uint8Array(this.#held + typed.length);
    let length = 0;
    const pass = (count: number) => {
      passed.set(sequence.subarray(0, count), length);
      length += count;
    };
    for (const byte of typed) {
      // The keys that are held back may end in a shorter beginning of the sequence, which goes on with this one.
      while (this.#held > 0 && byte !== sequence[this.#held]) {
        const shorter = this.#longestBeginning(this.#held);
        pass(this.#held - shorter);
        this.#held = shorter;
      }
      if (byte !== sequence[this.#held]) passed[length++] = byte;
      else if (++this.#held === sequence.length) {
        this.#held = 0;
        return { passed: passed.subarray(0, length), complete: true };
      }
    }
    return { passed: passed.subarray(0, length), complete: false };
  }

  /** Nothing more is typed: gives what was held back. */
  rest(): Uint8Array {
    const rest = this.#sequence.slice(0, this.#held);
    this.#held = 0;
    return rest;
  }

  /** How long the longest beginning of the sequence is with which its first `length` keys end, without being all of them. */
  #longestBeginning(length: number): number {
    const keys = this.#sequence.subarray(0, length);
    for (let size = length - 1; size > 0; size--) {
      if (keys.subarray(length - size).every((key, index) => key === keys[index])) return size;
    }
    return 0;
  }
}
