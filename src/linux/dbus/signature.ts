import { InvalidDocumentError } from "../../util/errors.ts";

/** One complete type of D-Bus's, taken apart. D-Bus Specification, "Type System" */
export type DbusType =
  | { readonly code: "y" | "b" | "n" | "q" | "i" | "u" | "x" | "t" | "d" | "s" | "o" | "g" | "v" }
  | { readonly code: "a"; readonly element: DbusType }
  /** A struct; an entry of a dictionary is one of two fields, and aligned in the same way. */
  | { readonly code: "("; readonly fields: readonly DbusType[] };

const basic = "ybnqiuxtdsogv";
/** The specification's own limit, of arrays and of structs. */
const deepest = 32;

/**
 * The complete types that a signature such as `sa(sv)` consists of.
 * @throws InvalidDocumentError it is none
 */
export function parseSignature(signature: string): DbusType[] {
  const types: DbusType[] = [];
  let at = 0;
  while (at < signature.length) types.push(next(0));
  return types;

  function next(depth: number): DbusType {
    const code = signature[at++];
    if (code !== undefined && basic.includes(code)) return { code } as DbusType;
    if (depth >= deepest) throw wrong();
    if (code === "a") return { code, element: next(depth + 1) };
    const end = code === "(" ? ")" : code === "{" ? "}" : undefined;
    if (end === undefined) throw wrong();
    const fields: DbusType[] = [];
    while (signature[at] !== end) {
      if (at >= signature.length) throw wrong();
      fields.push(next(depth + 1));
    }
    at++;
    if (fields.length === 0 || (end === "}" && fields.length !== 2)) throw wrong();
    return { code: "(", fields };
  }

  function wrong(): InvalidDocumentError {
    return new InvalidDocumentError(`${JSON.stringify(signature)} is not a signature of D-Bus's`);
  }
}

/** To a multiple of how many bytes a value of the type is aligned. */
export function alignmentOf({ code }: DbusType): number {
  switch (code) {
    case "y":
    case "g":
    case "v":
      return 1;
    case "n":
    case "q":
      return 2;
    case "x":
    case "t":
    case "d":
    case "(":
      return 8;
    default:
      return 4;
  }
}
