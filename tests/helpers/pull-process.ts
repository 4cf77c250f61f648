/**
 * A gocker that only pulls, as a process of its own that can die: `pull-process.ts ROOT NAME [KIND COUNT]`. It prints
 * each progress event as a line of JSON and kills itself at the COUNT-th event of that KIND.
 */
import { writeSync } from "node:fs";
import { engineContext } from "../../src/engine/context.ts";
import { pull } from "../../src/engine/pull.ts";

const [root, name, kind, count] = process.argv.slice(2) as [string, string, string | undefined, string | undefined];
let seen = 0;
const { image } = await pull(engineContext({ root: `${root}/root`, state: `${root}/state` }), name, {
  onProgress: (event) => {
    writeSync(1, `${JSON.stringify(event)}\n`);
    if (event.kind === kind && ++seen === Number(count ?? 1)) process.kill(process.pid, "SIGKILL");
  },
});
writeSync(1, `${JSON.stringify({ kind: "pulled", id: image.id })}\n`);
