/**
 * Does the same to each thing, one after the other, and to the others too when one fails.
 * @throws the error, if one failed; an AggregateError of all when several did
 */
export async function forEach<Thing>(things: readonly Thing[], action: (thing: Thing) => Promise<void>): Promise<void> {
  const errors: unknown[] = [];
  for (const thing of things) {
    try {
      await action(thing);
    } catch (error) {
      errors.push(error);
    }
  }
  throwThose(errors, things.length);
}

/** As {@link forEach}, but to all at once. */
export async function forAllAtOnce<Thing>(
  things: readonly Thing[],
  action: (thing: Thing) => Promise<void>,
): Promise<void> {
  const outcomes = await Promise.allSettled(things.map(action));
  throwThose(
    outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason as unknown] : [])),
    things.length,
  );
}

function throwThose(errors: readonly unknown[], attempts: number): void {
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) throw new AggregateError(errors, `${errors.length} of ${attempts} failed`);
}
