import { readdirSync, readlinkSync, symlinkSync, unlinkSync } from "node:fs";
import { ConflictError } from "../util/errors.ts";
import { shortId } from "../util/ids.ts";
import { randomName } from "./names.ts";

/** Which name is whose: symbolic links whose text is the container's ID, made in one step, so a name has one owner. */
export class ContainerNames {
  readonly #directory: string;
  readonly #holdIfGone: (id: string) => Disposable | undefined;

  /** @param holdIfGone whether a container is gone; what it returns is disposed of when its name is free */
  constructor(directory: string, holdIfGone: (id: string) => Disposable | undefined) {
    this.#directory = directory;
    this.#holdIfGone = holdIfGone;
  }

  /** @returns the name. @throws ConflictError another container has it */
  reserve(name: string, id: string): string {
    for (;;) {
      if (this.#tryReserve(name, id)) return name;
      const holder = this.holderOf(name);
      if (holder === undefined || this.#releaseStale(name, holder)) continue;
      throw new ConflictError(`the container name ${name} is in use by ${shortId(holder)}`, {
        hint: `remove that container (gocker rm ${name}) or choose another name`,
      });
    }
  }

  /** @returns a name that nobody had */
  reserveRandom(id: string): string {
    for (let attempt = 0; attempt < 100; attempt++) {
      const name = randomName();
      if (this.#tryReserve(name, id)) return name;
    }
    return this.reserve(`${randomName()}_${shortId(id)}`, id);
  }

  #tryReserve(name: string, id: string): boolean {
    try {
      symlinkSync(id, `${this.#directory}/${name}`);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
      throw error;
    }
  }

  /** Frees a name whose container is gone. Only a crash between two steps of a removal, or damage, leaves one. */
  #releaseStale(name: string, holder: string): boolean {
    using held = this.#holdIfGone(holder);
    if (held === undefined) return false;
    this.release(name, holder);
    return true;
  }

  /** Frees a name, if this container has it. */
  release(name: string, id: string): void {
    if (this.holderOf(name) === id) unlinkSync(`${this.#directory}/${name}`);
  }

  /** The ID of the container with exactly this name. */
  holderOf(name: string): string | undefined {
    try {
      return readlinkSync(`${this.#directory}/${name}`);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }

  /** The name of a container; undefined when it has none. */
  of(id: string): string | undefined {
    return this.all().find((name) => this.holderOf(name) === id);
  }

  all(): string[] {
    return readdirSync(this.#directory);
  }
}
