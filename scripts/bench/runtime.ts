import type { Contender } from "./alternate.ts";
import { ownDirectory, type Setting } from "./setting.ts";
import { bareBundle, type WarmImage } from "./warm.ts";

/** How many containers a burst has. */
const burst = 20;

interface Engine {
  readonly name: string;
  /** The words before `run`. */
  readonly words: readonly string[];
}

/** The OCI runtimes, each with a directory for its state; gocker first. */
function engines(setting: Setting): Engine[] {
  const of = (name: string, program: readonly string[]): Engine => ({
    name,
    words: [...program, "--root", ownDirectory(setting, `${name}-runtime-state`)],
  });
  return [of("gocker oci", [setting.gocker, "oci"]), of("crun", ["crun"]), of("runc", ["runc"])];
}

/** `run` of one bundle by each runtime: the specification that `crun spec` writes, in surroundings that suit crun. */
export async function runtimeContenders(setting: Setting, image: WarmImage): Promise<Contender[]> {
  const bundle = await bareBundle(setting, image, "none");
  return engines(setting).map(({ name, words }) => ({
    name: `${name} run`,
    runner: setting.peers,
    words: [...words, "run", "--bundle", bundle, "bench"],
  }));
}

/** Many at once: the time until the last has ended. */
export async function burstContenders(setting: Setting, image: WarmImage): Promise<Contender[]> {
  const bundle = await bareBundle(setting, image, "none");
  const script = `i=0; while [ $i -lt ${burst} ]; do "$@" run --bundle ${bundle} bench-$i & i=$((i+1)); done; wait`;
  return engines(setting).map(({ name, words }) => ({
    name: `${burst} x ${name} run`,
    runner: setting.peers,
    words: ["sh", "-c", script, "sh", ...words],
  }));
}
