import { expect, test } from "bun:test";
import { dirname, join, relative, resolve } from "node:path";

// What every `gocker run` of an image that is already there loads. A module that another one of these imports lazily
// counts only when it stands here itself.
const repository = resolve(import.meta.dir, "../..");
const everyRun = ["src/main.ts", "src/cli/app.ts", "src/cli/commands/run.ts", "src/engine/run.ts"];

/** Milliseconds that each costs to load in the compiled binary, where starting it takes three. */
const expensive = new Map([
  ["consola", 7],
  ["tar", 6],
  ["node:http", 4],
  ["node:https", 4],
  ["node:tty", 3],
  ["node:zlib", 3],
  ["node:net", 2],
  ["node:crypto", 2],
]);

test("starting a container loads no expensive module", async () => {
  const transpiler = new Bun.Transpiler({ loader: "ts" });
  const seen = new Set(everyRun.map((path) => join(repository, path)));
  const found: string[] = [];
  for (const path of seen) {
    const imports = transpiler.scanImports(await Bun.file(path).text());
    for (const { path: imported } of imports.filter(({ kind }) => kind === "import-statement")) {
      if (expensive.has(imported)) found.push(`${relative(repository, path)} imports ${imported}`);
      if (imported.startsWith(".") && imported.endsWith(".ts")) seen.add(resolve(dirname(path), imported));
    }
  }
  expect(found).toEqual([]);
  // The walk has gone down to the launcher.
  expect([...seen].some((path) => path.includes("src/linux/launch/"))).toBe(true);
});
