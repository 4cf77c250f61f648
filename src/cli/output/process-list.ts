import type { ProcessList } from "../../runtime/ps.ts";
import { UsageError } from "../../util/errors.ts";
import { nearestNames } from "../../util/nearest.ts";
import { alternatives } from "../flags.ts";
import {
  fullColumns,
  plainColumns,
  type ProcessColumn,
  processColumn,
  processColumnNames,
  shortColumns,
  userColumns,
} from "./process-columns.ts";
import { formatTable } from "./table.ts";

/**
 * A table of processes; without a heading when every column's is empty, as with ps(1).
 * @param least how wide a column is at least
 */
export function formatProcesses(list: ProcessList, columns: readonly ProcessColumn[], least?: number): string {
  const headings = columns.map(({ heading }) => heading);
  const rows = list.processes.map((process) => columns.map(({ value }) => value(process, list)));
  return formatTable(headings.every((heading) => heading === "") ? rows : [headings, ...rows], least);
}

/**
 * The columns that words for ps(1) ask for. Which processes are shown is not theirs to say: those of the container.
 * `-ef`, `-e`, `aux`, `ax` and `-o NAME[=HEADING],…` are understood, in all the ways in which they are written.
 * @throws UsageError for other words
 */
export function columnsOf(words: readonly string[]): readonly ProcessColumn[] {
  if (words.length === 0) return fullColumns;
  const chosen: ProcessColumn[] = [];
  let columns: readonly ProcessColumn[] = shortColumns;
  const rest = [...words];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    const long = /^--format(?:=(.*))?$/s.exec(word);
    // What comes before the o are letters of their own: `-eo pid,comm`.
    const [, dash = "", letters = "", o, list = ""] = /^(-?)([a-zA-Z]*?)(?:(o)(.*))?$/s.exec(word) ?? [];
    if (long !== null) chosen.push(...listed(long[1] ?? rest.shift()));
    else {
      columns = columnsOfLetters(dash, letters, word) ?? columns;
      if (o !== undefined) chosen.push(...listed(list === "" ? rest.shift() : list));
    }
  }
  return chosen.length > 0 ? chosen : columns;
}

/** @returns undefined when the letters only say which processes, or how wide */
function columnsOfLetters(dash: string, letters: string, word: string): readonly ProcessColumn[] | undefined {
  if (letters === "" && !/^-?o/.test(word)) throw unknown(word);
  // `-aux` is what many write for `aux`.
  const isBsd = dash === "" || /^(?=.*u)(?=.*x)[auxw]+$/.test(letters);
  const known = isBsd ? /^[auxw]*$/ : /^[eAafxdw]*$/;
  if (!known.test(letters)) throw unknown(word);
  if (isBsd) return letters === "" ? undefined : letters.includes("u") ? userColumns : plainColumns;
  return letters.includes("f") ? fullColumns : undefined;
}

function listed(list: string | undefined): ProcessColumn[] {
  const names = (list ?? "").split(/[,\s]+/).filter((name) => name !== "");
  if (names.length === 0) throw new UsageError("top: -o needs the names of columns", { hint: hint() });
  return names.map((text) => {
    const [, name = "", heading] = /^([^=]*)(?:=(.*))?$/s.exec(text) ?? [];
    const column = processColumn(name.toLowerCase());
    if (column !== undefined) return heading === undefined ? column : { ...column, heading };
    const near = nearestNames(name, processColumnNames);
    const advice = near.length === 0 ? "" : `did you mean ${alternatives(near)}? `;
    throw new UsageError(`top: there is no column ${JSON.stringify(name)}`, { hint: `${advice}${hint()}` });
  });
}

function hint(): string {
  return `the columns are ${processColumnNames.join(", ")}`;
}

function unknown(word: string): UsageError {
  return new UsageError(`top: ${JSON.stringify(word)} is nothing of ps that gocker knows`, {
    hint: "no ps is run: gocker knows -ef, -e, aux, ax and -o NAME,NAME",
  });
}
