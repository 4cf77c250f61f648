import { resolve } from "node:path";
import { LayeredRoot } from "../../container/layered-root.ts";
import { locateTarget } from "../../container/target-path.ts";
import { type Bundle, readBundle } from "../../runtime/bundle.ts";

/** The bundle of `create` and `run`, and where the links in its root directory lead. */
export interface OpenBundle extends Disposable {
  readonly bundle: Bundle;
  readonly resolveTarget: (path: string) => string;
}

/** @param directory of `--bundle`: relative to the current one, which it is when it is left out */
export function openBundle(directory: string | undefined): OpenBundle {
  const bundle = readBundle(resolve(directory ?? "."));
  const root = LayeredRoot.open([bundle.rootfs]);
  return {
    bundle,
    resolveTarget: (path) => locateTarget(root, path),
    [Symbol.dispose]: () => root[Symbol.dispose](),
  };
}
