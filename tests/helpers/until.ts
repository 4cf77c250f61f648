/** Waits until a condition holds; says what was waited for when it does not within the time. */
export async function until(what: string, condition: () => boolean | Promise<boolean>, milliseconds = 10_000) {
  const deadline = performance.now() + milliseconds;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${milliseconds} ms: ${what}`);
    await Bun.sleep(2);
  }
}
