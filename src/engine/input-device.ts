import { isTerminal } from "../linux/terminal.ts";
import { UsageError } from "../util/errors.ts";

/**
 * What is typed can be passed on to a terminal only when it is typed at one.
 * @throws UsageError both are wanted, and gocker's standard input is none
 */
export function checkInputDevice(wanted: { readonly interactive: boolean; readonly terminal: boolean }): void {
  if (!wanted.interactive || !wanted.terminal || isTerminal(0)) return;
  throw new UsageError("the input device is not a TTY", {
    hint: "leave out -t when the input is a file or a pipe",
  });
}
