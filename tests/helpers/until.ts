import { patience } from "./patience.ts";

/** Waits until a condition holds; says what was waited for when it does not within the time. */
export async function until(what: string, condition: () => boolean | Promise<boolean>, milliseconds = 10_000) {
  const limit = patience(milliseconds);
  const deadline = performance.now() + limit;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${limit} ms: ${what}`);
    await Bun.sleep(2);
  }
}
