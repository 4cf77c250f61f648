/**
 * Things of several owners, of which there are to be no more than so many: for one more, an owner that has most gives up
 * what it has not used for longest. So who has many takes nothing away from who has few.
 */
export class FairShares<Owner, Thing> {
  /** Of each owner that has any, what was not used for longest comes first. */
  readonly #things = new Map<Owner, Set<Thing>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Something is the owner's from now on, or was used just now. */
  use(owner: Owner, thing: Thing): void {
    this.remove(owner, thing);
    const things = this.#things.get(owner);
    if (things === undefined) this.#things.set(owner, new Set([thing]));
    else things.add(thing);
    this.#size++;
  }

  remove(owner: Owner, thing: Thing): void {
    const things = this.#things.get(owner);
    if (things?.delete(thing) !== true) return;
    this.#size--;
    if (things.size === 0) this.#things.delete(owner);
  }

  /** What is to be given up for another one; undefined when there is nothing. */
  get dispensable(): Thing | undefined {
    let most: ReadonlySet<Thing> = new Set();
    for (const things of this.#things.values()) if (things.size > most.size) most = things;
    const [thing] = most;
    return thing;
  }

  *[Symbol.iterator](): Generator<Thing> {
    for (const things of this.#things.values()) yield* things;
  }
}
