import { mkdirSync, readdirSync, readlinkSync, rmSync, symlinkSync } from "node:fs";
import { ConflictError } from "../util/errors.ts";
import { formatIpAddress, type IpAddress, isInSubnet, lastAddress, type Subnet } from "../util/ip-address.ts";

/** From where in a block addresses may be given. */
export interface AddressRange {
  readonly subnet: Subnet;
  /** The part of it to give from; all of it when absent. */
  readonly range?: Subnet | undefined;
  /** Addresses that are not given: the gateway's. */
  readonly reserved: readonly bigint[];
}

/**
 * The addresses of a network that are in use: `STATE/networks/leases/<network>/<address>`, a symbolic link that says
 * whose it is. symlink(2) makes a name and its content in one deed, and fails where the name is there: so no two
 * containers ever get one address, without a lock or anybody who keeps a list.
 */
export class AddressLeases {
  readonly #directory: string;

  /** @param directory the network's; made when it is needed */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * The lowest address that nobody has.
   * @throws ConflictError all are taken
   */
  take(range: AddressRange, holder: string): IpAddress {
    const taken = new Set(this.#names());
    for (const address of addressesIn(range)) {
      if (!taken.has(formatIpAddress(address)) && this.#tryTake(address, holder)) return address;
    }
    throw new ConflictError("the network has no address left", {
      hint: "stop containers that are not needed, or make a network with a larger --subnet",
    });
  }

  /**
   * A certain address.
   * @throws ConflictError another container has it
   */
  takeThis(address: IpAddress, holder: string): void {
    if (this.#tryTake(address, holder)) return;
    const other = this.holderOf(address);
    if (other === holder) return;
    const whose = other === undefined ? "" : ` by container ${other.slice(0, 12)}`;
    throw new ConflictError(`the address ${formatIpAddress(address)} is in use${whose}`);
  }

  /** Whose an address is; undefined when it is nobody's. */
  holderOf(address: IpAddress): string | undefined {
    return this.#read(formatIpAddress(address));
  }

  /** All that are in use: by their usual form, whose they are. */
  holders(): Map<string, string> {
    return new Map(
      this.#names().flatMap((name) => {
        const holder = this.#read(name);
        return holder === undefined ? [] : [[name, holder] as const];
      }),
    );
  }

  /** Gives back all that a container has. */
  release(holder: string): void {
    for (const name of this.#names()) {
      if (this.#read(name) === holder) rmSync(`${this.#directory}/${name}`, { force: true });
    }
  }

  #tryTake(address: IpAddress, holder: string): boolean {
    for (;;) {
      try {
        symlinkSync(holder, `${this.#directory}/${formatIpAddress(address)}`);
        return true;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === "EEXIST") return false;
        if (code !== "ENOENT") throw error;
        mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
      }
    }
  }

  #names(): string[] {
    try {
      return readdirSync(this.#directory);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
  }

  #read(name: string): string | undefined {
    try {
      return readlinkSync(`${this.#directory}/${name}`);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }
}

/** What may be given, from the lowest on. */
function* addressesIn({ subnet, range = subnet, reserved }: AddressRange): Generator<IpAddress> {
  const { family } = subnet;
  const first = range.base > subnet.base ? range.base : subnet.base;
  const last = lastAddress(range) < lastAddress(subnet) ? lastAddress(range) : lastAddress(subnet);
  for (let value = first; value <= last; value++) {
    if (isAssignable(value, subnet) && !reserved.includes(value)) yield { family, value };
  }
}

/** Whether there is any address to give, as long as no container has one. */
export function hasRoom(range: AddressRange): boolean {
  return addressesIn(range).next().done !== true;
}

/** Neither the network's own address nor that for all in it, where it has these. RFC 3021 */
export function isAssignable(value: bigint, subnet: Subnet): boolean {
  if (!isInSubnet({ family: subnet.family, value }, subnet)) return false;
  const hasNone = subnet.family === 4 ? subnet.prefixLength >= 31 : subnet.prefixLength >= 127;
  if (hasNone) return true;
  return value !== subnet.base && (subnet.family === 6 || value !== lastAddress(subnet));
}
