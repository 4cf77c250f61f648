import { expect, test } from "bun:test";
import { DbusConnection, DbusError } from "../../../../src/linux/dbus/connection.ts";
import type { DbusMessage } from "../../../../src/linux/dbus/message.ts";
import { DbusServer } from "../../../helpers/dbus-server.ts";

const target = { path: "/a", interface: "a.b" };

test("a call gets its own answer, and signals come besides", async () => {
  using server = new DbusServer(({ member, body }) => ({
    signature: "s",
    body: [`${member} ${body[0] as string}`],
    signals: [{ path: "/a", interface: "a.b", member: "Told", signature: "u", body: [7] }],
  }));
  const signals: DbusMessage[] = [];
  using connection = await DbusConnection.connect(server.path, (message) => signals.push(message));
  const answers = await Promise.all(
    ["one", "two"].map((word) => connection.call({ ...target, member: "Say", signature: "s", body: [word] })),
  );
  expect(answers).toEqual([["Say one"], ["Say two"]]);
  expect(signals.map(({ member, body }) => [member, ...body])).toEqual([
    ["Told", 7],
    ["Told", 7],
  ]);
  const user = Buffer.from(String(process.geteuid?.())).toString("hex");
  expect(server.authentication).toBe(`\0AUTH EXTERNAL ${user}\r\nBEGIN\r\n`);
});

test("an error is one, with its name", async () => {
  using server = new DbusServer(() => ({ errorName: "a.b.Wrong", signature: "s", body: ["it is wrong"] }));
  using connection = await DbusConnection.connect(server.path);
  const failure = connection.call({ ...target, member: "Do" });
  await expect(failure).rejects.toThrow(DbusError);
  await expect(failure).rejects.toMatchObject({ errorName: "a.b.Wrong", message: "it is wrong (a.b.Wrong)" });
});

test("calls fail when the connection ends", async () => {
  using server = new DbusServer(() => undefined);
  using connection = await DbusConnection.connect(server.path);
  const failure = connection.call({ ...target, member: "Do" });
  server.hangUp();
  await expect(failure).rejects.toThrow("was closed");
  await expect(connection.call({ ...target, member: "Do" })).rejects.toThrow("was closed");
});

test("who does not answer is not waited for without an end", async () => {
  using server = new DbusServer(() => undefined);
  using connection = await DbusConnection.connect(server.path, () => {}, 50);
  const failure = connection.call({ ...target, member: "Do" });
  await expect(failure).rejects.toThrow(`no answer from D-Bus at ${server.path} within 0.05 seconds`);
  using silent = new DbusServer(() => undefined, "");
  await expect(DbusConnection.connect(silent.path, () => {}, 50)).rejects.toThrow("no answer from D-Bus");
});

test("who is not let in is told so", async () => {
  using server = new DbusServer(() => undefined, "REJECTED EXTERNAL\r\n");
  await expect(DbusConnection.connect(server.path)).rejects.toThrow("refuses this user");
});

test("no server", async () => {
  await expect(DbusConnection.connect("/nonexistent/socket")).rejects.toThrow("no connection to D-Bus at /nonexistent");
});

test("what is no D-Bus ends the connection", async () => {
  using server = new DbusServer(() => undefined, "OK 1\r\nHTTP/1.1 400 Bad Request\r\n\r\n");
  using connection = await DbusConnection.connect(server.path);
  await expect(connection.call({ ...target, member: "Do" })).rejects.toThrow("not a message of version 1");
});
