import { type Digest, digestOf } from "./digest.ts";

/**
 * The name of layers applied one on another, lowest first: ChainID(0) = DiffID(0), ChainID(n) =
 * sha256(ChainID(n-1) + " " + DiffID(n)). OCI image specification, config.md, "Layer ChainID".
 *
 * @throws RangeError for no layer at all.
 */
export function chainId(diffIds: readonly Digest[]): Digest {
  const [first, ...rest] = diffIds;
  if (first === undefined) throw new RangeError("a chain ID needs at least one layer");
  return rest.reduce<Digest>((chain, diffId) => digestOf(`${chain} ${diffId}`), first);
}
