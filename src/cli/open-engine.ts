import { resolve } from "node:path";
import { type EngineContext, engineContext } from "../engine/context.ts";
import type { EverywhereOptions } from "./command.ts";
import { harmless } from "./output/style.ts";
import { writeError } from "./output/write.ts";

/**
 * The engine's context for a call of a command.
 * @throws GockerError when gocker's directories cannot be made
 */
export function openEngine(options: EverywhereOptions): EngineContext {
  const config = absolute(options.config);
  // Whoever reads the configuration looks there; `--config` wins over what the caller's environment said.
  if (config !== undefined) process.env["GOCKER_CONFIG"] = config;
  return engineContext({
    root: absolute(options.root),
    state: absolute(options.state),
    insecureRegistries: options.insecureRegistries,
    warn: (message) => writeError(`gocker: warning: ${harmless(message)}\n`),
    debug: options.debug ? (line) => writeError(`debug: ${harmless(line)}\n`) : undefined,
  });
}

function absolute(path: string | undefined): string | undefined {
  return path === undefined || path === "" ? undefined : resolve(path);
}
