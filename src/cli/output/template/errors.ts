import { UsageError } from "../../../util/errors.ts";

/** A template is not of the form that it must have, or asks for something that its value does not have. */
export class TemplateError extends UsageError {}

/** Where something stands in a template. */
export interface Place {
  /** The index of its first character. */
  readonly position: number;
  /** As it is written there. */
  readonly text: string;
}

/** A mistake in the form of a template, in the words of Go's text/template. */
export function malformed(source: string, position: number, reason: string): TemplateError {
  return new TemplateError(`template parsing error: template: :${lineOf(source, position)}: ${reason}`, {
    hint: "templates look like '{{.ID}}\\t{{.Names}}' or '{{json .}}'",
  });
}

/** A mistake that shows when a template is used. `name` is of the template within the template that it happens in. */
export function misused(source: string, name: string, place: Place, reason: string, hint?: string): TemplateError {
  const before = Buffer.byteLength(source.slice(source.lastIndexOf("\n", place.position - 1) + 1, place.position));
  const where = `${lineOf(source, place.position)}:${before}`;
  const what = `executing ${JSON.stringify(name)} at <${place.text}>`;
  return new TemplateError(`template parsing error: template: :${where}: ${what}: ${reason}`, { hint });
}

function lineOf(source: string, position: number): number {
  return source.slice(0, position).split("\n").length;
}
