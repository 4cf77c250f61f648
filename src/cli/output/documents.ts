import { parseDocumentTemplate } from "./template.ts";

/**
 * How `inspect` prints documents by `--format`: a list in JSON, on one line with `json`, or a template's text and a line
 * feed for each. With a template, nothing to be told is an empty line, as with Docker.
 * @throws {TemplateError} now when the template is none; when it is used, when it asks for what a document does not have
 */
export function formatDocuments(format: string | undefined): (documents: readonly object[]) => string {
  if (format === undefined) return (documents) => `${JSON.stringify(documents, undefined, 4)}\n`;
  if (format.trim() === "json") return (documents) => `${JSON.stringify(documents)}\n`;
  const template = parseDocumentTemplate(format);
  return (documents) => (documents.length === 0 ? "\n" : documents.map((one) => `${template(one)}\n`).join(""));
}
