export type Dress = (text: string) => string;

/** Dresses text for a terminal, or leaves it as it is. */
export interface Style {
  readonly bold: Dress;
  readonly dim: Dress;
  readonly red: Dress;
  readonly green: Dress;
  readonly yellow: Dress;
  readonly cyan: Dress;
}

const coloured: Style = {
  bold: dress(1, 22),
  dim: dress(2, 22),
  red: dress(31, 39),
  green: dress(32, 39),
  yellow: dress(33, 39),
  cyan: dress(36, 39),
};

const same = (text: string) => text;
const plain: Style = { bold: same, dim: same, red: same, green: same, yellow: same, cyan: same };

/** The style for an output that wants colour, or for one that does not: see `wantsColour` of terminal.ts. */
export function style(colour: boolean): Style {
  return colour ? coloured : plain;
}

/** Select Graphic Rendition of ECMA-48. */
function dress(on: number, off: number): Dress {
  return (text) => `\u001b[${on}m${text}\u001b[${off}m`;
}

/** Characters that move the cursor, change the terminal or hide text: C0, DEL, C1, and the overrides of direction. */
const controls = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/gu;

/**
 * Text that others wrote (an image's label, a registry's message), made harmless for a terminal: control
 * characters become visible escapes. `keep` are the ones that may stay, such as a line's end.
 */
export function harmless(text: string, keep = ""): string {
  return text.replace(controls, (character) => {
    if (keep.includes(character)) return character;
    const code = character.charCodeAt(0);
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16)}`;
  });
}
