import { UsageError } from "../../util/errors.ts";
import type { LogConfiguration } from "../record.ts";
import type { LogFacts } from "./log-writer.ts";

/**
 * What `labels`, `labels-regex`, `env` and `env-regex` let the log say of the container: labels and variables by their
 * names. A label wins over a variable of its name, and so does the last of two variables.
 * @throws UsageError a regular expression is none
 */
export function logAttributes(options: LogConfiguration["options"], facts: LogFacts): Record<string, string> {
  const attributes = new Map<string, string>();
  const isWantedVariable = chooser(options, "env");
  for (const text of facts.environment) {
    const [name = "", value = ""] = text.split(/=(.*)/s, 2);
    if (isWantedVariable(name)) attributes.set(name, value);
  }
  const isWantedLabel = chooser(options, "labels");
  for (const [name, value] of Object.entries(facts.labels)) if (isWantedLabel(name)) attributes.set(name, value);
  return Object.fromEntries(attributes);
}

function chooser(options: LogConfiguration["options"], name: string): (key: string) => boolean {
  const list = new Set((options[name] ?? "").split(",").map((key) => key.trim()));
  const pattern = optionPattern(options, `${name}-regex`);
  return (key) => key !== "" && (list.has(key) || pattern?.test(key) === true);
}

/**
 * A regular expression of an option; undefined when it is not given.
 * @throws UsageError it is none
 */
export function optionPattern(options: LogConfiguration["options"], name: string): RegExp | undefined {
  const text = options[name];
  if (text === undefined || text === "") return undefined;
  try {
    return new RegExp(text);
  } catch (error) {
    throw new UsageError(`invalid --log-opt ${name}=${JSON.stringify(text)}: it is no regular expression`, {
      cause: error,
    });
  }
}

type TagField = (facts: LogFacts) => string;

const shortDigits = 12;
const digitsOf = (digest: string) => digest.slice(digest.indexOf(":") + 1);

/** The names that a tag's template may ask for, as Docker has them. */
const tagFields: Readonly<Record<string, TagField>> = {
  ID: ({ id }) => id.slice(0, shortDigits),
  FullID: ({ id }) => id,
  Name: ({ name }) => name,
  ImageID: ({ image }) => digitsOf(image.id).slice(0, shortDigits),
  ImageFullID: ({ image }) => image.id,
  ImageName: ({ image }) => image.reference,
  DaemonName: () => "gocker",
};

const tagPart = /\{\{\s*\.(\w+)\s*\}\}/g;

/** @throws UsageError a template asks for what there is not */
export function checkTag(template: string): void {
  for (const [, name = ""] of template.matchAll(tagPart)) {
    if (!Object.hasOwn(tagFields, name)) throw invalidTag(template);
  }
  if (template.replace(tagPart, "").includes("{{")) throw invalidTag(template);
}

function invalidTag(template: string): UsageError {
  const names = Object.keys(tagFields).map((name) => `{{.${name}}}`);
  return new UsageError(`invalid --log-opt tag=${JSON.stringify(template)}: gocker does not understand this template`, {
    hint: `besides plain text it may have ${names.join(", ")}`,
  });
}

/**
 * The text of a tag's template for a container.
 * @throws UsageError it asks for what there is not
 */
export function logTag(template: string, facts: LogFacts): string {
  checkTag(template);
  return template.replace(tagPart, (_, name: string) => (tagFields[name] as TagField)(facts));
}
