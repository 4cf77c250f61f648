import type { HelpLayout } from "./help.ts";
import { style } from "./output/style.ts";
import { outputWidth, wantsColour } from "./output/terminal.ts";

/** How help is to look on standard output: no wider than the window, and at most 120 cells. */
export function helpLayout(): HelpLayout {
  return { style: style(wantsColour(1)), width: Math.min(outputWidth(1, 100), 120) };
}
