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
  const { seen, imports } = await walk(everyRun);
  expect(imports.filter(({ imported }) => expensive.has(imported))).toEqual([]);
  // The walk has gone down to the launcher.
  expect(seen.some((path) => path.startsWith("src/linux/launch/"))).toBe(true);
});

test("connecting a container loads what publishes ports, answers names and makes bridges only where that is to do", async () => {
  const { seen } = await walk(["src/engine/network/join.ts"]);
  const seldom = ["firewall.ts", "firewall/table.ts", "host-network.ts", "name-sockets.ts", "ports.ts", "sweep.ts"];
  expect(seen.filter((path) => seldom.some((name) => path === `src/network/${name}`))).toEqual([]);
  // The walk has gone down to the kernel's network settings.
  expect(seen).toContain("src/linux/netlink/virtual-links.ts");
});

/** What modules import that are not imported lazily, and what these do; by paths in the repository. */
async function walk(from: readonly string[]) {
  const transpiler = new Bun.Transpiler({ loader: "ts" });
  const seen = new Set(from.map((path) => join(repository, path)));
  const found: { path: string; imported: string }[] = [];
  for (const path of seen) {
    const imports = transpiler.scanImports(await Bun.file(path).text());
    for (const { path: imported } of imports.filter(({ kind }) => kind === "import-statement")) {
      found.push({ path: relative(repository, path), imported });
      if (imported.startsWith(".") && imported.endsWith(".ts")) seen.add(resolve(dirname(path), imported));
    }
  }
  return { seen: Array.from(seen, (path) => relative(repository, path)), imports: found };
}
