// What tests could leave behind on the machine, seen before and after them.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync, readlinkSync } from "node:fs";
import { basename, join } from "node:path";

import { binary } from "./toolchain.mjs";

/** @typedef {Record<"mount" | "process" | "cgroup" | "interface" | "nftables rule", Set<string>>} HostState */

/** @returns {HostState} */
export function takeSnapshot() {
  return {
    mount: new Set(mounts()),
    process: new Set(processes()),
    cgroup: new Set(cgroups("/sys/fs/cgroup", 0)),
    interface: new Set(existsSync("/sys/class/net") ? readdirSync("/sys/class/net") : []),
    "nftables rule": new Set(nftablesRules()),
  };
}

/**
 * What is there now and was not there before, in words.
 * @param {HostState} before
 */
export function whatIsLeft(before) {
  const after = takeSnapshot();
  const kinds = /** @type {(keyof HostState)[]} */ (Object.keys(after));
  return kinds.flatMap((kind) =>
    [...after[kind]].filter((thing) => !before[kind].has(thing)).map((thing) => `${kind} ${thing}`),
  );
}

/** Mount point and file system; the IDs before them change when something is mounted again. */
function mounts() {
  const lines = readFileSync("/proc/self/mountinfo", "utf8").trimEnd().split("\n");
  return lines.map((line) => {
    const fields = line.split(" ");
    return `${fields[4]} (${fields[fields.indexOf("-") + 1]})`;
  });
}

/** Processes of the binary, also of one that has been replaced since. */
function processes() {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const executable = readlinkSync(join("/proc", pid, "exe")).replace(/ \(deleted\)$/, "");
        if (executable !== binary) return [];
        return [
          `${pid} ${readFileSync(join("/proc", pid, "cmdline"), "utf8")
            .replaceAll("\0", " ")
            .trim()}`,
        ];
      } catch {
        // It has ended, or belongs to the kernel or to another user.
        return [];
      }
    });
}

/**
 * Control groups of containers, which lie in one called gocker, and those with gocker in their name; at most four
 * levels deep. The one called gocker itself stays by design, for the next container.
 * @param {string} folder
 * @param {number} depth
 * @returns {string[]}
 */
function cgroups(folder, depth) {
  if (depth > 4) return [];
  return foldersIn(folder).flatMap((name) => {
    const path = join(folder, name);
    const isContainer = basename(folder) === "gocker" || (name.includes("gocker") && name !== "gocker");
    return [...(isContainer ? [path] : []), ...cgroups(path, depth + 1)];
  });
}

/** @param {string} folder */
function foldersIn(folder) {
  try {
    const entries = readdirSync(folder, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch {
    // It does not exist here, or has just been removed.
    return [];
  }
}

function nftablesRules() {
  const { status, stdout } = spawnSync("nft", ["--stateless", "list", "ruleset"], { encoding: "utf8" });
  if (status !== 0) return [];
  return stdout
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && line !== "}");
}
