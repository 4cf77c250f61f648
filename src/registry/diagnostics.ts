import type { Diagnostic } from "./errors.ts";
import type { TransportAnswer } from "./transport.ts";

/** Longer error bodies are not read: they are pages for browsers. */
const longestBody = 64 * 1024;
const longestMessage = 300;

/**
 * Reads what an answer says of its failure. `{"errors":[{code,message}]}` is the specification's form; Hub and token
 * servers also say `{"details"|"message"|"error"|"error_description"}`, and proxies say HTML, which is left out.
 */
export async function readDiagnostics({ response, patience }: TransportAnswer): Promise<Diagnostic[]> {
  const text = await readText(response, patience);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    const type = response.headers.get("content-type") ?? "text/plain";
    const plain = /^text\/plain\b/i.test(type) && !text.trimStart().startsWith("<") ? clean(text) : "";
    return plain === "" ? [] : [{ code: "UNKNOWN", message: plain }];
  }
  if (typeof value !== "object" || value === null) return [];
  const { errors, ...rest } = value as Record<string, unknown>;
  if (Array.isArray(errors)) return errors.flatMap(diagnosticOf);
  return diagnosticOf(rest);
}

/** All diagnostics as one phrase for a sentence; undefined when there is nothing to say. */
export function describeDiagnostics(diagnostics: readonly Diagnostic[]): string | undefined {
  const phrases = diagnostics.map(({ code, message }) => (message === "" ? code.toLowerCase() : message));
  return phrases.length === 0 ? undefined : [...new Set(phrases)].join("; ");
}

function diagnosticOf(value: unknown): Diagnostic[] {
  if (typeof value !== "object" || value === null) return [];
  const entry = value as Record<string, unknown>;
  const first = (...keys: string[]): string | undefined => {
    const texts = keys.map((key) => entry[key]).filter((text) => typeof text === "string");
    return texts.find((text) => text !== "");
  };
  const code = first("code", "error");
  const message = first("message", "details", "error_description", "error", "detail");
  if (code === undefined && message === undefined) return [];
  return [{ code: clean(code ?? "UNKNOWN"), message: clean(message ?? "") }];
}

async function readText(response: Response, patience: number): Promise<string> {
  if (response.body === null) return "";
  const reader = response.body.getReader();
  // Ends a read that is under way, too.
  const timer = setTimeout(() => void reader.cancel().catch(() => undefined), patience);
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (let result = await reader.read(); !result.done; result = await reader.read()) {
      text += decoder.decode(result.value, { stream: true });
      if (text.length > longestBody) {
        await reader.cancel();
        return "";
      }
    }
  } catch {
    // The status is the answer; its explanation got lost on the way.
    return "";
  } finally {
    clearTimeout(timer);
  }
  return text;
}

/** A registry's words go to the terminal: no control characters, no end of it. */
function clean(text: string): string {
  // oxlint-disable-next-line no-control-regex
  const line = text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ").trim();
  return line.length <= longestMessage ? line : `${line.slice(0, longestMessage - 1)}…`;
}
