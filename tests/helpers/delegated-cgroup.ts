import { chownSync, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { detectCgroups } from "../../src/runtime/cgroup/detect.ts";

/** A part of the cgroups of this host, in every hierarchy, that is given to a user, with a place for its own processes. */
export class DelegatedCgroup implements Disposable {
  readonly path = `/gocker-delegated-${process.pid}`;
  readonly #mountPoints: readonly string[];

  constructor(user: number) {
    const { v1, v2 } = detectCgroups();
    this.#mountPoints = [...v1.map(({ mountPoint }) => mountPoint), ...(v2 === undefined ? [] : [v2])];
    if (v1.length === 0 && v2 !== undefined) writeFileSync(`${v2}/cgroup.subtree_control`, "+pids");
    for (const mountPoint of this.#mountPoints) {
      const part = mountPoint + this.path;
      for (const directory of [part, `${part}/own`]) give(directory, mountPoint, user);
    }
  }

  /** What runs the command after these words in the user's own cgroup. */
  get within(): readonly string[] {
    const moves = this.#mountPoints.map((mountPoint) => `echo $$ > ${mountPoint}${this.path}/own/cgroup.procs`);
    return ["sh", "-c", `${moves.join(" && ")} && exec "$@"`, "sh"];
  }

  /** A control file of a cgroup in there. */
  read(name: string, file: string): string | undefined {
    const path = this.#mountPoints
      .map((mountPoint) => join(mountPoint + this.path, name, file))
      .find((candidate) => existsSync(candidate));
    return path === undefined ? undefined : readFileSync(path, "utf8").trim();
  }

  exists(name: string): boolean {
    return this.#mountPoints.some((mountPoint) => existsSync(join(mountPoint + this.path, name)));
  }

  [Symbol.dispose](): void {
    for (const mountPoint of this.#mountPoints) {
      for (const below of ["/own", ""]) rmdirSync(mountPoint + this.path + below);
    }
  }
}

/** What is to be written to make cgroups below, and to move processes. cgroup-v2.rst, "Model of Delegation" */
const given = ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads", "tasks"];

function give(directory: string, mountPoint: string, user: number): void {
  mkdirSync(directory);
  for (const file of ["cpuset.cpus", "cpuset.mems"]) {
    // A new one of version 1 has neither, and takes no process.
    const [own, from] = [join(directory, file), join(mountPoint, file)];
    if (existsSync(own) && existsSync(from)) writeFileSync(own, readFileSync(from));
  }
  chownSync(directory, user, user);
  for (const file of given) if (existsSync(join(directory, file))) chownSync(join(directory, file), user, user);
}
