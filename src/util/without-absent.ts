/** An object as it is while it is put together: what is absent is there, and undefined. */
export type Unfinished<Values> = { readonly [Name in keyof Values]?: Values[Name] | undefined };

/** An object without its properties that are undefined; undefined when nothing is left. */
export function withoutAbsent<Values extends object>(values: Unfinished<Values>): Values | undefined {
  const present = Object.entries(values).filter(([, value]) => value !== undefined);
  return present.length === 0 ? undefined : (Object.fromEntries(present) as Values);
}
