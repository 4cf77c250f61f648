import { describe, expect, test } from "bun:test";
import { commandNotFoundHint, NoCommandError, resolveCommand } from "../../../src/container/command.ts";

const kubectl = { Entrypoint: ["kubectl"], Cmd: ["help"] };
const plain = { Cmd: ["sh", "-l"] };

describe("the words after the image", () => {
  test.each<[words: string[], image: object, command: string[]]>([
    [[], kubectl, ["kubectl", "help"]],
    [[], plain, ["sh", "-l"]],
    [["bash"], kubectl, ["bash"]],
    [["ls", "--help", "-la"], plain, ["ls", "--help", "-la"]],
    [["-c", "max_connections=200"], kubectl, ["kubectl", "-c", "max_connections=200"]],
    [["-"], kubectl, ["kubectl", "-"]],
    [["--", "get", "pods"], kubectl, ["kubectl", "get", "pods"]],
    [["--"], kubectl, ["kubectl"]],
    [["--", "--", "x"], kubectl, ["kubectl", "--", "x"]],
    [["--", "ls"], plain, ["ls"]],
    [["-x"], plain, ["-x"]],
    [["", "x"], plain, ["", "x"]],
    [[], { Entrypoint: null, Cmd: ["sh"] }, ["sh"]],
  ])("%j", (words, image, command) => {
    expect(resolveCommand({ words, image })).toEqual(command);
  });

  test.each<[entrypoint: string, words: string[], command: string[]]>([
    ["sh", [], ["sh"]],
    ["sh", ["-c", "id"], ["sh", "-c", "id"]],
    ["sh", ["--", "x"], ["sh", "--", "x"]],
    ["", ["ls"], ["ls"]],
  ])("--entrypoint %j with %j", (entrypoint, words, command) => {
    expect(resolveCommand({ words, entrypoint, image: kubectl })).toEqual(command);
  });

  test.each<[words: string[], command: string[]]>([
    [["bash"], ["kubectl", "bash"]],
    [
      ["--", "x"],
      ["kubectl", "--", "x"],
    ],
    [[], ["kubectl", "help"]],
  ])("Docker's rule: %j", (words, command) => {
    expect(resolveCommand({ words, dockerWords: true, image: kubectl })).toEqual(command);
  });

  test.each([
    { words: [], image: {} },
    { words: [], image: undefined },
    { words: ["--"], image: plain },
    { words: [], entrypoint: "", image: kubectl },
  ])("nothing to run: %j", (source) => {
    expect(() => resolveCommand(source)).toThrow(NoCommandError);
  });
});

describe("the hint for a command that was not found", () => {
  test("tells how to reach ENTRYPOINT", () => {
    const hint = commandNotFoundHint({ words: ["get", "it's"], image: kubectl }, "bitnami/kubectl");
    expect(hint).toContain('ENTRYPOINT ["kubectl"]');
    expect(hint).toEndWith(`gocker run bitnami/kubectl -- get 'it'\\''s'`);
  });

  test("says where gocker's options stand when one was taken for the command", () => {
    expect(commandNotFoundHint({ words: ["-it", "sh"], image: plain }, "alpine")).toBe(
      "the image has no ENTRYPOINT that could take -it; options of gocker's own come before the image",
    );
  });

  test.each([
    { words: ["get"], image: plain },
    { words: ["--", "get"], image: kubectl },
    { words: ["-x"], image: kubectl },
    { words: [], image: kubectl },
    { words: ["get"], entrypoint: "x", image: kubectl },
    { words: ["get"], dockerWords: true, image: kubectl },
  ])("is absent where it would not help: %j", (source) => {
    expect(commandNotFoundHint(source, "image")).toBeUndefined();
  });
});
