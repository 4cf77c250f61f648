// JUnit reports, as `bun test` writes them.
import { existsSync, readFileSync } from "node:fs";

/** @typedef {{ passed: number, failed: number, skipped: number }} Counts */

/**
 * The sums of a report, which are attributes of its outermost element, and each test that failed with its message. A report
 * that is missing has none.
 * @param {string} path
 * @returns {{ counts: Counts, failures: string[] }}
 */
export function readReport(path) {
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  const [element = ""] = /<testsuites\b[^>]*>/.exec(text) ?? [];
  const failures = [];
  for (const [, test = "", failure = ""] of text.matchAll(/<testcase\b([^>]*[^/])>\s*<(?:failure|error)\b([^>]*)/g)) {
    const names = ["file", "classname", "name"].map((name) => attributeOf(test, name)).filter((name) => name !== "");
    failures.push(`${names.join(" > ")}\n    ${attributeOf(failure, "message").replaceAll("\n", "\n    ").trimEnd()}`);
  }
  /** @param {string} name */
  const attribute = (name) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(element)?.[1] ?? 0);
  const failed = attribute("failures") + attribute("errors");
  const skipped = attribute("skipped");
  return { counts: { passed: attribute("tests") - failed - skipped, failed, skipped }, failures };
}

/**
 * @param {string} attributes
 * @param {string} name
 */
function attributeOf(attributes, name) {
  const text = new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1] ?? "";
  /** @type {Record<string, string>} */
  const characters = { "&quot;": '"', "&lt;": "<", "&gt;": ">", "&amp;": "&", "&apos;": "'", "&#10;": "\n" };
  return text.replaceAll(/&[^;]+;/g, (entity) => characters[entity] ?? entity);
}
