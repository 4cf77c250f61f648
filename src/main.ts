/**
 * The front door: finds out which role this process has and loads only that. Nothing may be imported at the top here,
 * since every millisecond of it is paid by every container start.
 */
const words = process.argv.slice(2);

const name = process.argv0.split("/").at(-1);

/** Called by a link of this name, gocker is an OCI runtime: callers such as containerd name one program, without words. */
const isRuntime = name === "gocker-oci";

/** Milliseconds after which this process does more than start a container. */
const startUp = 500;

if (isRuntime || words[0] === "oci") {
  const { main } = await import("./cli/oci/app.ts");
  process.exit(await main(isRuntime ? words : words.slice(1)));
} else if (name === "gocker-monitor") {
  const { runMonitor } = await import("./engine/monitor.ts");
  await runMonitor(words[0]);
  process.exit(0);
} else if (name === "gocker-sweeper") {
  const { runSweeper } = await import("./engine/network/sweeper.ts");
  await runSweeper(words[0]);
  process.exit(0);
} else if (name === "gocker-names") {
  const { runNameProcess } = await import("./engine/network/name-process.ts");
  await runNameProcess(words[0]);
  process.exit(0);
} else if (words.length === 1 && (words[0] === "--version" || words[0] === "-v")) {
  const { version } = await import("./util/version.ts");
  console.log(`gocker version ${version}`);
} else {
  // The build makes the start sparing with compiled code; a pull or a session at a terminal has the time for it.
  setTimeout(() => Bun.unsafe.setJITPolicy(1), startUp).unref();
  const { main } = await import("./cli/app.ts");
  // Whatever is still open (a kept-alive connection, an unreferenced timer) must not hold the exit up.
  process.exit(await main(words));
}
