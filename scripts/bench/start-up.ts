import { join } from "node:path";

import type { Contender } from "./alternate.ts";
import type { Setting } from "./setting.ts";

/** What it costs to start gocker at all, beside a compiled program that does nothing. */
export async function startUpContenders(setting: Setting): Promise<Contender[]> {
  const { host } = setting;
  const source = join(setting.directory, "empty.ts");
  await Bun.write(source, "export {};\n");
  const empty = join(setting.directory, "empty");
  await Bun.build({
    entrypoints: [source],
    target: "bun",
    format: "esm",
    compile: { outfile: empty, autoloadDotenv: false, autoloadBunfig: false },
    minify: true,
    bytecode: true,
  });
  return [
    { name: "gocker --version", runner: host, words: [setting.gocker, "--version"] },
    { name: "an empty compiled program", runner: host, words: [empty] },
    { name: "true", runner: host, words: ["true"] },
  ];
}
