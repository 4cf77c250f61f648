import type { Place } from "./errors.ts";

/** A part of a template that prints something, or decides what is printed. */
export type Node =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "action"; readonly pipe: Pipe }
  | {
      readonly kind: "if" | "with" | "range";
      readonly pipe: Pipe;
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[];
    }
  | { readonly kind: "template"; readonly name: string; readonly pipe: Pipe | undefined; readonly place: Place }
  | { readonly kind: "break" | "continue" };

/** `$i, $x := .A | upper`. */
export interface Pipe extends Place {
  readonly kind: "pipe";
  /** Names with their `$`. */
  readonly variables: readonly string[];
  /** The variables exist already and get a new value. */
  readonly assigns: boolean;
  readonly commands: readonly Command[];
}

/** What stands between two `|`: an operand, or a function and its arguments. */
export interface Command extends Place {
  readonly operands: readonly [Operand, ...Operand[]];
}

export type Operand =
  | Pipe
  | (Place & { readonly kind: "dot" | "nil" })
  | (Place & { readonly kind: "constant"; readonly value: string | number | boolean })
  | (Place & { readonly kind: "function"; readonly name: string })
  /** `.A.B` */
  | (Place & { readonly kind: "field"; readonly fields: readonly string[] })
  /** `$x.A.B`; the name has its `$`. */
  | (Place & { readonly kind: "variable"; readonly name: string; readonly fields: readonly string[] })
  /** `(pipe).A.B` */
  | (Place & { readonly kind: "chain"; readonly of: Operand; readonly fields: readonly string[] });

/** A template that has been read: what it prints, and the templates that it defines. */
export interface ParsedTemplate {
  readonly source: string;
  readonly nodes: readonly Node[];
  readonly definitions: ReadonlyMap<string, readonly Node[]>;
}
