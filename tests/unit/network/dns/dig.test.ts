import { expect, test } from "bun:test";
import { setImmediate } from "node:timers/promises";
import { FakeUpstream, framed, makeAnswer, TestConnection, TestNameServer } from "../../../helpers/dns.ts";
import { acceptConnection } from "../../../../src/linux/socket.ts";

// What dig, a client of another house, makes of the answers.
const hasDig = Bun.which("dig") !== null;
if (!hasDig) console.warn("the name server's answers are not compared: that needs dig (bind9-dnsutils)");

const many = Array.from({ length: 200 }, (_, index) => `10.77.1.${index}`);
const names: Record<string, string[]> = { web: ["10.77.0.2", "fd00:77::2"], many };
const owners: Record<string, string> = { "10.77.0.2": "web.front", "fd00:77::2": "web.front" };
const lookup = { addresses: (name: string) => names[name], nameOf: (address: string) => owners[address] };

/** Runs dig against the server, with somebody behind it who knows one address and gives large answers over TCP. */
async function dig(...words: string[]): Promise<string[]> {
  using upstream = new FakeUpstream();
  using bench = new TestNameServer({ lookup, upstream: [upstream.address] });
  const { port } = bench.address;
  const run = Bun.spawn(["dig", "@127.0.0.1", "-p", String(port), "+tries=1", "+time=3", ...words], { stdout: "pipe" });
  const connections: TestConnection[] = [];
  try {
    while (run.exitCode === null) {
      bench.serveOnce();
      const sent = upstream.query();
      if (sent !== undefined) upstream.reply(makeAnswer(sent.message, { addresses: ["192.0.2.7"] }), sent);
      const socket = acceptConnection(upstream.tcp);
      if (socket !== undefined) connections.push(new TestConnection(socket));
      for (const connection of connections) {
        const message = connection.message();
        if (message !== undefined) connection.write(framed(makeAnswer(message, { padding: 5_000 })));
      }
      await setImmediate();
    }
  } finally {
    for (const connection of connections) connection[Symbol.dispose]();
  }
  expect(run.exitCode).toBe(0);
  const text = await run.stdout.text();
  expect(text).not.toMatch(/malformed|Warning|mismatch/i);
  return text.split("\n").filter((line) => line !== "");
}

test.skipIf(!hasDig).each([
  ["+short web", ["10.77.0.2"]],
  ["+short WEB. AAAA", ["fd00:77::2"]],
  ["+short web MX", []],
  ["+short -x 10.77.0.2", ["web.front."]],
  ["+short -x fd00:77::2", ["web.front."]],
  ["+short +tcp web", ["10.77.0.2"]],
  ["+short +noedns web", ["10.77.0.2"]],
  ["+short +dnssec +bufsize=512 +nocookie web", ["10.77.0.2"]],
  ["+short example.com", ["192.0.2.7"]],
])("dig %s", async (words, expected) => {
  expect(await dig(...words.split(" "))).toEqual(expected);
});

test.skipIf(!hasDig)("dig asks over TCP for what is too large, and gets it whole", async () => {
  expect((await dig("+short", "many")).sort()).toEqual([...many].sort());
});

test.skipIf(!hasDig)("dig gets large answers of others over TCP", async () => {
  expect((await dig("+tcp", "+noall", "+comments", "+answer", "example.com", "NULL")).join("\n")).toContain("# 5000");
});

test.skipIf(!hasDig).each([
  ["web", "NOERROR"],
  ["+edns=1 +noednsneg web", "BADVERS"],
  ["CH TXT version.bind", "REFUSED"],
  ["+opcode=NOTIFY +noedns web SOA", "NOTIMP"],
])("dig %s: %s", async (words, status) => {
  const lines = await dig("+noall", "+comments", ...words.split(" "));
  expect(lines.join("\n")).toContain(`status: ${status}, `);
});
