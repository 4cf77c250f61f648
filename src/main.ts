/**
 * The front door: finds out which role this process has and loads only that. Nothing may be imported at the top here,
 * since every millisecond of it is paid by every container start.
 */
const words = process.argv.slice(2);

if (words.length === 1 && (words[0] === "--version" || words[0] === "-v")) {
  const { version } = await import("./util/version.ts");
  console.log(`gocker version ${version}`);
} else {
  const { main } = await import("./cli/app.ts");
  // Whatever is still open (a kept-alive connection, an unreferenced timer) must not hold the exit up.
  process.exit(await main(words));
}
