import { evaluate } from "./template/evaluator.ts";
import { functions, headingFunctions } from "./template/functions.ts";
import { parse } from "./template/parser.ts";
import { throughJson } from "./template/values.ts";
import { TemplateError } from "./template/errors.ts";

/** A template that has been read: gives its text for a value. */
export interface Template {
  /**
   * For a value as `template/values.ts` describes it.
   * @throws {TemplateError} it asks for something that the value does not have
   */
  (value: unknown): string;
  /** The same for the headings of a table's columns: functions leave them as they are. */
  heading(headings: unknown): string;
}

/**
 * Reads a template of `--format`: Go's text/template with the functions of Docker. `\t` and `\n` outside of actions
 * stand for a tabulator and a line feed, as in Docker's lists.
 * @throws {TemplateError} it is none
 */
export function parseTemplate(text: string): Template {
  const template = parse(text, (name) => functions.has(name), expandEscapes);
  return Object.assign((value: unknown) => evaluate(template, value, { functions, isStrict: false }), {
    heading: (headings: unknown) => evaluate(template, headings, { functions: headingFunctions, isStrict: false }),
  });
}

/** Docker's templates see its structures, whose fields are not all called as in JSON. moby, api/types/container */
const goFields: ReadonlyMap<string, string> = new Map([
  ["ID", "Id"],
  ["CPUShares", "CpuShares"],
  ["NanoCPUs", "NanoCpus"],
  ["CPUPeriod", "CpuPeriod"],
  ["CPUQuota", "CpuQuota"],
  ["CPURealtimePeriod", "CpuRealtimePeriod"],
  ["CPURealtimeRuntime", "CpuRealtimeRuntime"],
  ["CPUCount", "CpuCount"],
  ["CPUPercent", "CpuPercent"],
  ["DNS", "Dns"],
  ["DNSOptions", "DnsOptions"],
  ["DNSSearch", "DnsSearch"],
]);

/**
 * Reads a template for whole documents, as `docker inspect` does: what their structures do not have is looked for in
 * their JSON, where everything is a map, and to look up what a map does not have is a mistake.
 * @throws {TemplateError} it is none
 */
export function parseDocumentTemplate(text: string): (document: unknown) => string {
  const template = parse(text, (name) => functions.has(name));
  return (document) => {
    try {
      return evaluate(template, document, { functions, isStrict: false, fieldNames: goFields });
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      return evaluate(template, throughJson(document), { functions, isStrict: true });
    }
  };
}

function expandEscapes(text: string): string {
  return text.replaceAll("\\t", "\t").replaceAll("\\n", "\n");
}
