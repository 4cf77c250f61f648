import { describe, expect, test } from "bun:test";
import { parseTemplate } from "../../../../src/cli/output/template.ts";
import { UsageError } from "../../../../src/util/errors.ts";

const value = {
  ID: "4f5e",
  Names: "brave_curie",
  Empty: "",
  Count: 3,
  On: true,
  List: ["a", "b"],
  Inner: { Name: "x", Deep: { Er: 1 } },
};

/** Checked against the docker command line where Docker has the function. */
const templates: [template: string, text: string][] = [
  ["", ""],
  ["plain", "plain"],
  ["{{.ID}}", "4f5e"],
  ["{{ .ID }}", "4f5e"],
  ["a{{.ID}}b{{.Names}}c", "a4f5ebbrave_curiec"],
  ["{{.ID}}\\t{{.Names}}\\n", "4f5e\tbrave_curie\n"],
  ["{{.Empty}}", ""],
  ["{{.Count}} {{.On}}", "3 true"],
  ["{{.Inner.Name}}{{.Inner.Deep.Er}}", "x1"],
  ["{{.List}}", "[a b]"],
  ["{{.Inner.Deep}}", "map[Er:1]"],
  ["{{json .}}", JSON.stringify(value)],
  ["{{json .Names}}", '"brave_curie"'],
  ["{{.Names | json}}", '"brave_curie"'],
  ["{{upper .Names}}", "BRAVE_CURIE"],
  ["{{.Names | upper | lower | title}}", "Brave_curie"],
  ['{{join .List ", "}}', "a, b"],
  ['{{split .Names "_" | json}}', '["brave","curie"]'],
  ["{{truncate .Names 5}}", "brave"],
  ["{{len .Names}} {{len .List}}", "11 2"],
  ['{{"a}}b"}}', "a}}b"],
  ['{{`a"b`}}', 'a"b'],
  ["a  {{- .ID -}}  b", "a4f5eb"],
  ["{{/* nothing */}}x", "x"],
  ["}} {", "}} {"],
];

test.each(templates)("%s", (template, text) => {
  expect(parseTemplate(template)(value)).toBe(text);
});

const mistakes: [template: string, reason: string][] = [
  ["{{.ID", "an action that begins with {{ does not end with }}"],
  ["{{}}", "an action or a part of a pipe is empty"],
  ["{{.ID | }}", "an action or a part of a pipe is empty"],
  ["{{fly .ID}}", "there is no function fly"],
  ["{{constructor .ID}}", "there is no function constructor"],
  ["{{json}}", "json needs an argument"],
  ["{{.ID .Names}}", ".ID is no function"],
  ["{{upper | .ID}}", "upper needs an argument"],
  ["{{(.ID)}}", "parentheses are not supported"],
  ["{{range .List}}", "there is no function range"],
  ["{{.ID & .Names}}", 'cannot read "& .Names"'],
];

describe("refuses", () => {
  test.each(mistakes)("%s", (template, reason) => {
    expect(() => parseTemplate(template)).toThrow(UsageError);
    expect(() => parseTemplate(template)).toThrow(reason);
  });

  test("a field that is not there, and names those that are", () => {
    const use = () => parseTemplate("{{.Id}}")(value);
    expect(use).toThrow(UsageError);
    expect(use).toThrow("there is no field .Id (there are ID, Names, Empty, Count, On, List, Inner)");
    expect(() => parseTemplate("{{.ID.Foo}}")(value)).toThrow("there is no field .Foo");
    expect(() => parseTemplate("{{.toString}}")({})).toThrow("there is no field .toString");
  });
});
