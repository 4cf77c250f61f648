import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { syscallNumber } from "../../src/linux/syscalls.ts";
import { gockerBinary, type Sandbox } from "./binary.ts";
import { until } from "./until.ts";
import { isRoot } from "./temporary.ts";
import { describeTree, type TreeOptions } from "./tree.ts";

const busybox = Bun.which("busybox");

/** Whether containers can be run and looked into: `describe.skipIf(!canShowRoots)`. */
export const canShowRoots = isRoot && busybox !== null && Bun.which("perl") !== null;

if (!canShowRoots) console.warn("root file systems are not compared: that needs root, busybox-static and perl");

/** A running container's root file system, and what is mounted over it. */
export interface ContainerRoot {
  /** The root as gocker mounted it, without the mounts over it: a path for this process, of a detached copy. */
  readonly path: string;
  /** Where something is mounted directly over the root, below `/` and without a slash before it. */
  readonly mountPoints: readonly string[];
}

/**
 * Runs a container of any image, whatever programs it has or lacks, shows its root and ends it.
 * @throws Error when the container does not run, or does not end well
 */
export async function withContainer<T>(
  sandbox: Sandbox,
  image: string,
  use: (container: ContainerRoot) => T | Promise<T>,
): Promise<T> {
  await using container = await startContainer(sandbox, image);
  await using root = await openRoot(container.pid);
  return await use({ path: root.path, mountPoints: mountPointsOf(container.pid) });
}

/** A container that repeats what it reads; disposing of it ends its input, and throws if it fails then. */
async function startContainer(sandbox: Sandbox, image: string): Promise<{ pid: number } & AsyncDisposable> {
  const cidFile = join(sandbox.directory, `cid-${crypto.randomUUID()}`);
  const options = ["--rm", "-q", "-i", "--network", "none", "-u", "0:0", "-w", "/", "--cidfile", cidFile];
  // The program comes by a mount into the container's own /dev, so nothing of the image is touched or needed.
  const program = ["-v", `${busybox}:/dev/busybox:ro`, image, "/dev/busybox", "cat"];
  const child = Bun.spawn([gockerBinary(), "run", ...options, ...program], {
    env: { PATH: process.env["PATH"] ?? "", ...sandbox.environment },
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
  });
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(async () => {
    await child.stdin.end();
    const [stderr, status] = await Promise.all([child.stderr.text(), child.exited]);
    if (status !== 0) throw new Error(`gocker run ${image}: ${status}\n${stderr}`);
  });
  await child.stdin.write("it runs\n");
  await child.stdin.flush();
  const { value } = await child.stdout.getReader().read();
  if (Buffer.from(value ?? []).toString() !== "it runs\n") throw new Error(`a container of ${image} does not run`);
  const stateFile = join(sandbox.root, "containers", readFileSync(cidFile, "utf8").trim(), "running.json");
  // Nobody waits for it to be written before the program runs.
  await until("the container is known to run", () => existsSync(stateFile));
  const { pid } = JSON.parse(readFileSync(stateFile, "utf8")) as { pid: number };
  const owned = cleanup.move();
  return { pid, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Goes into the mount namespace of a process and holds a copy of its root mount there, alone. */
const holder = `
  my ($pid, $setns, $open_tree) = @ARGV;
  open(my $namespace, "<", "/proc/$pid/ns/mnt") or die "open: $!";
  syscall($setns, fileno($namespace), 0x20000) == 0 or die "setns: $!";
  my $root = "/";
  my $tree = syscall($open_tree, -100, $root, 1);
  $tree >= 0 or die "open_tree: $!";
  $| = 1;
  print "$tree\\n";
  <STDIN>;
`;

async function openRoot(pid: number): Promise<{ path: string } & AsyncDisposable> {
  const numbers = [syscallNumber("setns"), syscallNumber("open_tree")].map(String);
  // No thread of this process could do that: all of them share one root and current directory. setns(2)
  const child = Bun.spawn(["perl", "-e", holder, String(pid), ...numbers], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
  });
  const stop = async () => {
    await child.stdin.end();
    await child.exited;
  };
  const { value } = await child.stdout.getReader().read();
  const descriptor = Buffer.from(value ?? [])
    .toString()
    .trim();
  if (descriptor === "") {
    await stop();
    throw new Error(`the root of process ${pid} cannot be opened: ${await child.stderr.text()}`);
  }
  return { path: `/proc/${child.pid}/fd/${descriptor}/`, [Symbol.asyncDispose]: stop };
}

/** proc_pid_mountinfo(5): the mount's ID, that of the mount it is on, and fifth where it is. */
function mountPointsOf(pid: number): string[] {
  const mounts = readFileSync(`/proc/${pid}/mountinfo`, "utf8").trimEnd().split("\n");
  const fields = mounts.map((line) => line.split(" "));
  const root = fields.find((field) => field[4] === "/")?.[0];
  return fields.filter((field) => field[1] === root && field[4] !== "/").map((field) => (field[4] ?? "").slice(1));
}

/**
 * What a container's root and another tree of the same image differ in, as `- line` for gocker's and `+ line` for the
 * other's. What every runtime adds is left out: an empty directory or file, root's, for each mount to which the image
 * has no place, the link /etc/mtab where it has none, and then the time of the directory that got it.
 */
export function compareWithContainer(container: ContainerRoot, other: string, options: TreeOptions = {}): string[] {
  const ours = linesByName(describeTree(container.path, options));
  const theirs = linesByName(describeTree(other, options));
  for (const name of ["etc/mtab", ...container.mountPoints.flatMap(withParents)]) {
    if (theirs.has(name)) continue;
    const line = ours.get(name);
    if (line === undefined || !made.test(line)) continue;
    ours.delete(name);
    for (const lines of [ours, theirs]) {
      const parent = parentOf(name);
      const changed = lines.get(parent);
      if (changed !== undefined) lines.set(parent, changed.replace(/ time=\S+/, ""));
    }
  }
  const names = [...new Set([...ours.keys(), ...theirs.keys()])].sort();
  return names.flatMap((name) => {
    const [our, their] = [ours.get(name), theirs.get(name)];
    if (our === their) return [];
    return [...(our === undefined ? [] : [`- ${our}`]), ...(their === undefined ? [] : [`+ ${their}`])];
  });
}

/** A line of {@link describeTree} for what is made only to be mounted over, and for the link to the mounts. */
const made =
  /^"[^"]*" (?:directory 0755 0:0(?: time=\S+)?|file 0644 0:0(?: time=\S+)? size=0 \w+|symlink 0777 0:0(?: time=\S+)? -> "\/proc\/mounts")$/;

function linesByName(lines: readonly string[]): Map<string, string> {
  return new Map(lines.map((line) => [JSON.parse(/^"(?:[^"\\]|\\.)*"/.exec(line)?.[0] ?? "") as string, line]));
}

/** The longest first. */
function withParents(name: string): string[] {
  return name === "." ? [] : [name, ...withParents(parentOf(name))];
}

function parentOf(name: string): string {
  const slash = name.lastIndexOf("/");
  return slash < 0 ? "." : name.slice(0, slash);
}
