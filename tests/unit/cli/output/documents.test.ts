import { expect, test } from "bun:test";
import { formatDocuments } from "../../../../src/cli/output/documents.ts";

const documents = [{ Id: "a" }, { Id: "b" }];

test("documents by every format", () => {
  expect(formatDocuments(undefined)(documents)).toBe(
    '[\n    {\n        "Id": "a"\n    },\n    {\n        "Id": "b"\n    }\n]\n',
  );
  expect(formatDocuments("json")(documents)).toBe('[{"Id":"a"},{"Id":"b"}]\n');
  expect(formatDocuments("{{.Id}}\\t")(documents)).toBe("a\\t\nb\\t\n");
});

test("nothing to be told", () => {
  expect([undefined, "json", "{{.Id}}"].map((format) => formatDocuments(format)([]))).toEqual(["[]\n", "[]\n", "\n"]);
});

test("a template that is none is refused before anything is looked up", () => {
  expect(() => formatDocuments("{{.Id")).toThrow("template parsing error: template: :1: unclosed action");
});
