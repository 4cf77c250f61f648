import type { ContainerRecord } from "../../../container/record.ts";

/** Which gocker a unit calls, and where that keeps things. */
export interface UnitPlace {
  readonly program: string;
  readonly root: string;
  readonly state: string;
}

/** Seconds that a container is given to end, where it says nothing itself; and what gocker needs beside that. */
const stopTime = 10;
const reserve = 20;

/** A unit that starts containers after a boot, and stops them before a shutdown. systemd.service(5) */
export function bootUnit(place: UnitPlace): string {
  return unit([
    ["Unit", { Description: "Containers of gocker with a restart policy", ...afterNetwork }],
    [
      "Service",
      {
        Type: "oneshot",
        RemainAfterExit: "yes",
        ExecStart: call(place, ["start", "--restartable"]),
        ExecStop: call(place, ["stop", "--restartable"]),
        // Monitors and containers end by the stop; the rest of the unit is nobody's to kill.
        KillMode: "none",
        TimeoutStartSec: "infinity",
        TimeoutStopSec: String(stopTime * 6 + reserve),
      },
    ],
    ["Install", { WantedBy: "multi-user.target" }],
  ]);
}

/** A service of one container, which systemd starts again when it fails. systemd.service(5) */
export function containerUnit(place: UnitPlace, { name, stopTimeout = stopTime }: ContainerRecord): string {
  const timeout = stopTimeout < 0 ? "infinity" : String(stopTimeout + reserve);
  return unit([
    ["Unit", { Description: `The container ${name} of gocker`, ...afterNetwork }],
    [
      "Service",
      {
        ExecStart: call(place, ["start", "--attach", name]),
        ExecStop: call(place, ["stop", name]),
        Restart: "on-failure",
        TimeoutStopSec: timeout,
      },
    ],
    ["Install", { WantedBy: "multi-user.target" }],
  ]);
}

const afterNetwork = { Wants: "network-online.target", After: "network-online.target" };

function call({ program, root, state }: UnitPlace, words: readonly string[]): string {
  return [program, "--root", root, "--state", state, ...words].map(quoted).join(" ");
}

/** A word of a command line as systemd reads it: `%` and `$` stand for something there. systemd.syntax(7) */
function quoted(word: string): string {
  const escaped = word.replaceAll("%", "%%").replaceAll("$", "$$$$");
  return /^[\w@%+=:,./$-]+$/.test(escaped) ? escaped : `"${escaped.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}

function unit(sections: readonly (readonly [string, Readonly<Record<string, string>>])[]): string {
  return sections
    .map(([heading, lines]) => {
      const text = Object.entries(lines).map(([name, value]) => `${name}=${value}\n`);
      return `[${heading}]\n${text.join("")}`;
    })
    .join("\n");
}
