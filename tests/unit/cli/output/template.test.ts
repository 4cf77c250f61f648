import { describe, expect, test } from "bun:test";
import { parseDocumentTemplate, parseTemplate } from "../../../../src/cli/output/template.ts";
import { TemplateError } from "../../../../src/cli/output/template/errors.ts";
import { UsageError } from "../../../../src/util/errors.ts";
import { templateDocument, templateMistakes, templateTexts } from "../../../helpers/template-cases.ts";

describe("of documents", () => {
  test.each(templateTexts)("%s", (template, text) => {
    expect(parseDocumentTemplate(template)(templateDocument)).toBe(text);
  });

  test.each(templateMistakes)("%s is a mistake", (template, reason) => {
    const use = () => parseDocumentTemplate(template)(templateDocument);
    expect(use).toThrow(TemplateError);
    expect(use).toThrow(UsageError);
    expect(use).toThrow(`template parsing error: template: :${reason}`);
  });

  test("fields by their names in Docker's structures, and in its JSON", () => {
    const document = { Id: "1", HostConfig: { CpuShares: 5, NanoCpus: 2, Dns: ["9.9.9.9"] } };
    const names = "{{.ID}}{{.Id}} {{.HostConfig.CPUShares}} {{.HostConfig.NanoCPUs}} {{.HostConfig.DNS}}";
    expect(parseDocumentTemplate(names)(document)).toBe("11 5 2 [9.9.9.9]");
    expect(() => parseDocumentTemplate("{{.id}}")(document)).toThrow(TemplateError);
  });

  test("a template calls itself only so often", () => {
    const template = parseDocumentTemplate('{{define "r"}}{{template "r"}}{{end}}{{template "r"}}');
    expect(() => template({})).toThrow("exceeded maximum template depth");
  });

  test("numbers as printf shapes them", () => {
    const format =
      '{{printf "%05d|%+d|%x|%X|%o|%b|%c|%U|%5.1f|%e|%%|%3s|%.2s|%*d" 42 42 255 255 8 5 65 65 1.5 1500.5 "a" "abc" 4 7}}';
    expect(parseDocumentTemplate(format)({})).toBe("00042|+42|ff|FF|10|101|A|U+0041|  1.5|1.500500e+03|%|  a|ab|   7");
  });
});

describe("of lists", () => {
  const value = {
    ID: "4f5e",
    Names: "brave_curie",
    List: ["a", "b"],
    Inner: { Name: "x" },
    Label: (word: string) => (word === "k" ? "v" : ""),
  };

  const templates: [template: string, text: string][] = [
    ["", ""],
    ["plain", "plain"],
    ["{{.ID}}\\t{{.Names}}\\n", "4f5e\tbrave_curie\n"],
    ['{{"\\t"}}', "\t"],
    ["{{.Inner.Name}}{{.Inner}}", "x{x}"],
    ['{{.Label "k"}}{{.Label "other"}}', "v"],
    ['{{"k" | .Label}}', "v"],
    ["{{json .}}", '{"ID":"4f5e","Names":"brave_curie","List":["a","b"],"Inner":{"Name":"x"}}'],
  ];
  test.each(templates)("%j", (template, text) => {
    expect(parseTemplate(template)(value)).toBe(text);
  });

  test("functions leave headings as they are", () => {
    const headings = { ID: "CONTAINER ID", Names: "NAMES", Label: (word: string) => word };
    const heading = (template: string) => parseTemplate(template).heading(headings);
    expect(heading("{{json .ID}} {{truncate .ID 3}} {{lower .Names}} {{pad .Names 1 0}}")).toBe(
      "CONTAINER ID CONTAINER ID NAMES  NAMES",
    );
    expect(heading('{{.Label "a.b"}} {{join (split .Names ",") "x"}}')).toBe("a.b NAMES");
  });

  test("a field that is not there is a mistake, and those that are there are named", () => {
    const use = (template: string) => () => parseTemplate(template)(value);
    expect(use("{{.Id}}")).toThrow(`template: :1:2: executing "" at <.Id>: can't evaluate field Id in type structure`);
    try {
      use("{{.Id}}")();
    } catch (error) {
      expect((error as UsageError).hint).toBe("there are ID, Names, List, Inner, Label");
    }
    expect(use("{{.ID.Foo}}")).toThrow("can't evaluate field Foo in type string");
    expect(() => parseTemplate("{{.toString}}")({})).toThrow("can't evaluate field toString");
    expect(use("{{.Label}}")).toThrow("wrong number of args for Label: want 1 got 0");
  });
});
