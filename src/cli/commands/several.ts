/**
 * Does the same to each operand, the others too when one fails.
 * @throws the error, if one failed; an AggregateError of all when several did
 */
export async function forEachOperand(
  operands: readonly string[],
  action: (operand: string) => Promise<void>,
): Promise<void> {
  const errors: unknown[] = [];
  for (const operand of operands) {
    try {
      await action(operand);
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) throw new AggregateError(errors, `${errors.length} of ${operands.length} failed`);
}

/** As {@link forEachOperand}, but to all at once. */
export async function forEachOperandAtOnce(
  operands: readonly string[],
  action: (operand: string) => Promise<void>,
): Promise<void> {
  const outcomes = await Promise.allSettled(operands.map(action));
  const errors = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [outcome.reason as unknown] : []));
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) throw new AggregateError(errors, `${errors.length} of ${operands.length} failed`);
}
