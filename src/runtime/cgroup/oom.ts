import { ptr } from "bun:ffi";
import { read } from "node:fs";
import { promisify } from "node:util";
import { systemCallError } from "../../linux/errno.ts";
import { createEventCounter } from "../../linux/event-counter.ts";
import { OwnedFd } from "../../linux/fd.ts";
import { cString, libc } from "../../linux/libc.ts";
import { syscallNumber } from "../../linux/syscalls.ts";
import type { Cgroup, OomWatch } from "./cgroup.ts";
import { CgroupError, isGone } from "./errors.ts";
import { ControlFile, exists, readControl, writeControl } from "./files.ts";
import { oomKillsIn } from "./oom-kills.ts";

/** O_CLOEXEC, as EFD_CLOEXEC and IN_CLOEXEC. */
const closeOnExec = 0o2000000;
/** IN_MODIFY, linux/inotify.h */
const modified = 2;

/** See {@link Cgroup.watchOom}. The wait takes a thread of the runtime's pool, not this one. */
export function watchOom(cgroup: Cgroup, onOom: () => void): OomWatch {
  const { directory, version } = memoryDirectory(cgroup);
  return version === 1 ? watchV1(directory, onOom) : watchV2(directory, onOom);
}

/**
 * A descriptor that can be read when processes of a cgroup may have been killed for lack of memory: shortly before, in
 * version 1. `oomKills` tells how many have.
 * @throws CgroupError this host has no memory controller
 */
export function openOomEvents(cgroup: Cgroup): OwnedFd {
  const { directory, version } = memoryDirectory(cgroup);
  if (version === 1) return countOom(directory);
  const events = openNotifier();
  try {
    addWatch(events.number, `${directory}/memory.events`);
    return events;
  } catch (error) {
    events.close();
    throw error;
  }
}

function memoryDirectory(cgroup: Cgroup): { readonly directory: string; readonly version: 1 | 2 } {
  const place = cgroup.place("memory");
  const directory = place === undefined ? "" : place.mountPoint + cgroup.path;
  if (place === undefined || (place.version === 2 && !exists(`${directory}/memory.events`))) {
    throw new CgroupError("CGROUPS_UNABLE", "out-of-memory events need the memory controller, which this host lacks");
  }
  return { directory, version: place.version };
}

/**
 * The kernel counts in an eventfd: each time that the cgroup is out of memory, and when it is removed.
 * admin-guide/cgroup-v1/memory.rst, "OOM Control"
 */
function countOom(directory: string): OwnedFd {
  const events = createEventCounter();
  try {
    using file = ControlFile.forReading(`${directory}/memory.oom_control`);
    writeControl(`${directory}/cgroup.event_control`, `${events.number} ${file.fd}`);
    return events;
  } catch (error) {
    events.close();
    throw error;
  }
}

function watchV1(directory: string, onOom: () => void): OomWatch {
  const events = countOom(directory);
  return watch(
    events,
    () => {
      if (!exists(`${directory}/cgroup.event_control`)) return false;
      onOom();
      return true;
    },
    () => libc.write(events.number, new Uint8Array(BigUint64Array.of(1n).buffer), 8),
  );
}

function openNotifier(): OwnedFd {
  const number = Number(libc.syscall(syscallNumber("inotify_init1"), closeOnExec, 0, 0, 0, 0, 0));
  if (number === -1) throw systemCallError("inotify_init1");
  return new OwnedFd(number);
}

/**
 * A cgroup's removal is no event of inotify's, but that it has no process any more is.
 * admin-guide/cgroup-v2.rst, memory.events and cgroup.events
 */
function watchV2(directory: string, onOom: () => void): OomWatch {
  const events = openNotifier();
  const { number } = events;
  let populated: number;
  let kills: number;
  try {
    addWatch(number, `${directory}/memory.events`);
    populated = addWatch(number, `${directory}/cgroup.events`);
    kills = oomKillsIn(directory, 2);
  } catch (error) {
    events.close();
    throw error;
  }
  return watch(
    events,
    () => {
      try {
        const now = oomKillsIn(directory, 2);
        if (now > kills) onOom();
        kills = now;
        return !readControl(`${directory}/cgroup.events`).split("\n").includes("populated 0");
      } catch (error) {
        if (isGone(error)) return false;
        throw error;
      }
    },
    // A watch that is taken away is an event itself.
    () => libc.syscall(syscallNumber("inotify_rm_watch"), number, populated, 0, 0, 0, 0),
  );
}

function addWatch(inotify: number, path: string): number {
  const name = cString(path);
  const watchNumber = Number(libc.syscall(syscallNumber("inotify_add_watch"), inotify, ptr(name), modified, 0, 0, 0));
  if (watchNumber === -1) throw systemCallError("inotify_add_watch", { path });
  return watchNumber;
}

const readLater = promisify(read);

/**
 * @param events owned from here on
 * @param look called when something has happened; false: nothing will happen any more
 * @param wake makes something happen
 */
function watch(events: OwnedFd, look: () => boolean, wake: () => unknown): OomWatch {
  const state = { stopped: false };
  const ended = (async () => {
    using _events = events;
    const buffer = new Uint8Array(4096);
    do await readLater(events.number, buffer, 0, buffer.length, null);
    while (!state.stopped && look());
    state.stopped = true;
  })();
  return {
    ended,
    [Symbol.dispose]() {
      if (state.stopped) return;
      state.stopped = true;
      wake();
    },
  };
}
