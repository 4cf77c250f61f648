import { describe, expect, test } from "bun:test";
import { command } from "../../../src/cli/command.ts";
import { allCommands, type CommandGroup, findCommand, isGroup } from "../../../src/cli/group.ts";
import { UsageError } from "../../../src/util/errors.ts";

const list = command({
  meta: { name: "ls", description: "List", usage: "", operands: { minimum: 0, maximum: 0 } },
  flags: {},
  run: async () => 0,
});
const box: CommandGroup = {
  meta: { name: "box", description: "Manage boxes" },
  commands: { ls: async () => list },
  aliases: { list: "ls" },
};
const top = { program: "gocker", commands: { boxes: async () => list, box: async () => box } };
const inBox = { program: "gocker box", commands: box.commands, aliases: box.aliases };

describe("findCommand", () => {
  test("names what it finds by the words that were typed", async () => {
    expect((await findCommand(top, "boxes")).meta.name).toBe("boxes");
    expect((await findCommand(inBox, "ls")).meta.name).toBe("box ls");
    expect((await findCommand(inBox, "list")).meta.name).toBe("box ls");
    expect(list.meta.name).toBe("ls");
  });

  test("tells groups from commands", async () => {
    expect(isGroup(await findCommand(top, "box"))).toBe(true);
    expect(isGroup(await findCommand(top, "boxes"))).toBe(false);
  });

  test.each([
    [top, "bix", 'there is no command "bix"', "did you mean gocker box? gocker --help lists the commands"],
    [inBox, "lst", 'there is no command "gocker box lst"', "did you mean gocker box ls or gocker box list? "],
    [inBox, "toString", 'there is no command "gocker box toString"', "gocker box --help lists the commands"],
  ])("%#: says what is near", async (table, word, message, hint) => {
    const error = await findCommand(table, word).then(undefined, (reason: unknown) => reason as UsageError);
    expect(error).toBeInstanceOf(UsageError);
    expect(error).toMatchObject({ message, hint: expect.stringContaining(hint) });
  });
});

test("a table's commands have the names by which they are called there", async () => {
  expect((await allCommands(top)).map(({ meta }) => meta.name)).toEqual(["boxes", "box"]);
  expect((await allCommands(inBox)).map(({ meta }) => meta.name)).toEqual(["ls"]);
});
