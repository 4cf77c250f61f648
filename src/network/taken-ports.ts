import type { Publication } from "./publication.ts";

type Place = Pick<Publication, "protocol" | "hostAddress" | "hostPort">;

/** Ports of the host that somebody has, so far as that is not the kernel's to say. */
export class TakenPorts {
  /** The addresses at which a port is taken, by protocol and port: a container may have many thousands. */
  readonly #addresses = new Map<string, string[]>();

  constructor(places: Iterable<Place> = []) {
    for (const place of places) this.add(place);
  }

  add(place: Place): void {
    const key = keyOf(place);
    const addresses = this.#addresses.get(key);
    if (addresses === undefined) this.#addresses.set(key, [place.hostAddress]);
    else addresses.push(place.hostAddress);
  }

  /** Whether somebody has that port at that address, or at all of its family; or, for these, at any of them. */
  has(place: Place): boolean {
    return this.#addresses.get(keyOf(place))?.some((address) => overlap(address, place.hostAddress)) ?? false;
  }
}

function keyOf({ protocol, hostPort }: Place): string {
  return `${protocol} ${hostPort}`;
}

const wildcards: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

/** @param one in its usual form */
function overlap(one: string, other: string): boolean {
  if (one === other) return true;
  return one.includes(":") === other.includes(":") && (wildcards.has(one) || wildcards.has(other));
}
