import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";

import { createSandbox } from "../helpers/binary.ts";
import { has } from "../helpers/cgroups.ts";
import { canRunCorpus } from "../helpers/corpus-images.ts";
import { pushDebian } from "../helpers/debian-image.ts";
import { canMakeNetworks, NetworkNamespace } from "../helpers/network-namespace.ts";
import { startRegistry } from "../helpers/registry.ts";
import { freePort, outcomeOf, Runner, success } from "../helpers/runner.ts";
import { until } from "../helpers/until.ts";

const hasMemory = has("memory");
if (canRunCorpus && !hasMemory) console.warn("servers of Debian: skipped, this host has no memory controller");

interface State {
  readonly Status: string;
  readonly Pid: number;
  readonly ExitCode: number;
  readonly OOMKilled: boolean;
  readonly Health?: { readonly Status: string };
}

/** Servers as a distribution packs them, from their start to their end: what they need of an engine, all at once. */
describe.skipIf(!canRunCorpus || !hasMemory)("servers of Debian in the background", () => {
  let runner: Runner;
  let image: string;
  let isThere = false;
  beforeAll(async () => {
    const registry = await startRegistry();
    runner = new Runner(await createSandbox(), registry);
    image = runner.image("library/debian-servers:1");
    isThere = await pushDebian(registry);
    if (isThere) await runner.pull("library/debian-servers:1");
  }, 600_000);
  afterEach(async () => {
    const { stdout } = await runner.gocker(["ps", "-aq"]);
    const ids = stdout.split("\n").filter((id) => id !== "");
    if (ids.length > 0) expect((await runner.gocker(["rm", "-fv", ...ids])).stderr).toBe("");
    await runner.untilClean();
  });
  afterAll(() => runner?.[Symbol.asyncDispose]());

  /** Runs a test where the image could be made. */
  const withImage = (work: () => Promise<void>) => async () => {
    if (isThere) await work();
    else console.warn("skipped: there is no Debian");
  };

  async function detach(verb: "run" | "create", words: readonly string[]): Promise<void> {
    const { stdout, stderr, exitCode } = await runner.gocker([verb, ...(verb === "run" ? ["-d"] : []), ...words]);
    expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
    expect(stdout).toMatch(/^[0-9a-f]{64}\n$/);
  }

  async function inspect(name: string, template: string): Promise<unknown> {
    const { stdout, stderr } = await runner.gocker(["inspect", "-f", `{{json ${template}}}`, name]);
    expect(stderr).toBe("");
    return JSON.parse(stdout);
  }
  const stateOf = async (name: string) => (await inspect(name, ".State")) as State;

  const untilHealthy = (name: string) =>
    until(
      `${name} is healthy`,
      async () => {
        const { Status, Health } = await stateOf(name);
        expect(["running", "restarting"]).toContain(Status);
        return Status === "running" && Health?.Status === "healthy";
      },
      30_000,
    );

  /** Kills a server as the kernel would for want of memory; returns when its policy has brought it back. */
  async function killAndAwait(name: string): Promise<void> {
    const { Pid: killed } = await stateOf(name);
    process.kill(killed, "SIGKILL");
    await until(`${name} runs again`, async () => {
      const { Status, Pid } = await stateOf(name);
      return Status === "running" && Pid !== killed;
    });
    await untilHealthy(name);
    expect(await inspect(name, ".RestartCount")).toBe(1);
  }

  const exec = (name: string, ...words: readonly string[]) => runner.gocker(["exec", name, ...words]);
  const inSandbox = (name: string) => `${runner.sandbox.directory}/${name}`;
  const check = (command: string) => ["--health-cmd", command, "--health-interval", "100ms", "--health-retries", "300"];

  async function stopsCleanly(name: string): Promise<void> {
    expect(await runner.gocker(["stop", "-t", "20", name])).toEqual(success(`${name}\n`));
    expect(await stateOf(name)).toMatchObject({ Status: "exited", ExitCode: 0, OOMKilled: false });
  }

  /** Removes a container; volumes with names outlive `-v`, and are removed on their own. */
  async function remove(name: string, volume: string): Promise<void> {
    expect(await runner.gocker(["rm", "-v", name])).toEqual(success(`${name}\n`));
    expect(await runner.gocker(["volume", "ls", "-q"])).toEqual(success(`${volume}\n`));
    expect(await runner.gocker(["volume", "rm", volume])).toEqual(success(`${volume}\n`));
  }

  test(
    "on a network of their own PostgreSQL is found by its name, and nginx by its published port",
    withImage(async () => {
      if (!canMakeNetworks) return console.warn("skipped: no network of the test's own can be made");
      await using host = await NetworkNamespace.create("link set lo up");
      const there = async (...words: readonly string[]) => {
        const { stdout, stderr, exitCode } = await runner.gocker(words, { by: host.by });
        expect({ stderr: stderr.replace(/^gocker: warning: forwarding of .*\n/, ""), exitCode }).toEqual({
          stderr: "",
          exitCode: 0,
        });
        return stdout;
      };
      await there("network", "create", "shop");
      const programs = "PATH=/usr/lib/postgresql/15/bin:/usr/bin:/bin";
      const place = ["--network", "shop", "-u", "postgres", "-e", programs, "--shm-size", "32m"];
      const start = `cd; initdb -N -D db -A trust >/dev/null; echo "host all all samenet trust" >>db/pg_hba.conf
        exec postgres -D db -c listen_addresses='*' -c logging_collector=off`;
      const ready = check("pg_isready -q -h 127.0.0.1");
      await there("run", "-d", "--name", "db", ...place, ...ready, image, "bash", "-euc", start);
      const page = "echo shop >/var/www/html/page.html; exec nginx -g 'daemon off;'";
      await there("run", "-d", "--name", "web", "--network", "shop", "-p", "8080:80", image, "bash", "-euc", page);
      await untilHealthy("db");
      const client = [
        "psql",
        "-AtX",
        "-h",
        "db",
        "-d",
        "postgres",
        "-c",
        "select sum(n) from generate_series(1, 10) n",
      ];
      expect(await there("run", "--rm", ...place, image, ...client)).toBe("55\n");

      const fetching = `
        const url = "http://127.0.0.1:8080/page.html";
        for (;;) {
          const answer = await fetch(url).catch(() => undefined);
          if (answer?.ok) { console.log((await answer.text()).trim()); break; }
          await Bun.sleep(20);
        }
        // As many as come at once, by many connections.
        const answers = await Promise.all(Array.from({ length: 200 }, async () => (await fetch(url)).status));
        console.log(answers.filter((status) => status === 200).length);
      `;
      const outside = Bun.spawn([...host.by, process.execPath, "-e", fetching], { stdout: "pipe", stderr: "pipe" });
      expect([await outside.stdout.text(), await outside.stderr.text()]).toEqual(["shop\n200\n", ""]);
      await there("rm", "-fv", "web", "db");
      await there("network", "rm", "shop");
    }),
    90_000,
  );

  test(
    "Redis: its user writes to a volume without a name, a kill loses nothing, and its dump is taken out",
    withImage(async () => {
      const place = ["-u", "redis", "--network", "none", "-m", "64m", "-v", "/var/lib/redis"];
      const always = ["--restart", "on-failure", ...check("redis-cli ping | grep -qx PONG")];
      const server = ["redis-server", "--dir", "/var/lib/redis", "--appendonly", "yes", "--appendfsync", "always"];
      await detach("run", ["--name", "cache", ...place, ...always, image, ...server]);
      await untilHealthy("cache");
      expect((await runner.gocker(["ps"])).stdout).toContain("(healthy)");
      expect(await exec("cache", "id", "-un")).toEqual(success("redis\n"));
      expect(await runner.gocker(["exec", "-u", "root", "cache", "id", "-un"])).toEqual(success("root\n"));
      expect(await exec("cache", "redis-cli", "set", "key", "kept")).toEqual(success("OK\n"));

      await killAndAwait("cache");
      expect(await exec("cache", "redis-cli", "get", "key")).toEqual(success("kept\n"));

      expect(await exec("cache", "redis-cli", "save")).toEqual(success("OK\n"));
      expect((await runner.gocker(["cp", "-q", "cache:/var/lib/redis/dump.rdb", inSandbox("dump")])).exitCode).toBe(0);
      expect(readFileSync(inSandbox("dump"), "latin1")).toMatch(/^REDIS\d{4}[^]*key\x04kept/);

      await stopsCleanly("cache");
      expect((await runner.gocker(["logs", "-n", "1", "cache"])).stdout).toContain("Redis is now ready to exit");
      expect(await runner.gocker(["rm", "-v", "cache"])).toEqual(success("cache\n"));
      expect(await runner.gocker(["volume", "ls", "-q"])).toEqual(success(""));
    }),
    60_000,
  );

  test(
    "nginx: a configuration and a page are copied in, requests are followed in its log, and it ends gracefully",
    withImage(async () => {
      const port = await freePort();
      const listen = (status: string) => `server {
        listen 127.0.0.1:${port};
        root /var/www/html;
        access_log /dev/stdout;
        location /state { return 200 ${status}; }
      }\n`;
      const ask = async (path: string) => {
        const response = await fetch(`http://127.0.0.1:${port}${path}`);
        return `${response.status} ${await response.text()}`;
      };
      const request = `bash -c 'exec 3<>/dev/tcp/127.0.0.1/${port}; printf "GET /state HTTP/1.0\\r\\n\\r\\n" >&3; grep -q " 200 " <&3'`;
      const flags = ["--network", "host", "--stop-signal", "SIGQUIT", "-v", "site:/var/www/html", ...check(request)];
      const server = ["nginx", "-g", "daemon off; error_log /dev/stderr notice;"];
      await detach("create", ["--name", "web", ...flags, image, ...server]);
      const copyIn = async (name: string, text: string, target: string) => {
        writeFileSync(inSandbox(name), text);
        expect(await runner.gocker(["cp", "-q", inSandbox(name), `web:${target}`])).toEqual(success(""));
      };
      await copyIn("site.conf", listen("first"), "/etc/nginx/sites-enabled/default");
      await copyIn("page.html", "copied in\n", "/var/www/html/");
      expect(await runner.gocker(["start", "web"])).toEqual(success("web\n"));
      await untilHealthy("web");
      expect((await runner.gocker(["top", "web", "-o", "pid,user,args"])).stdout).toMatch(
        /root +nginx: master process[^]*www-data +nginx: worker process/,
      );

      const follower = runner.start(["logs", "-f", "web"]);
      expect(await ask("/page.html")).toBe("200 copied in\n");
      expect(await ask("/missing")).toStartWith("404 ");
      await copyIn("site.conf", listen("second"), "/etc/nginx/sites-enabled/default");
      expect(await runner.gocker(["kill", "-s", "HUP", "web"])).toEqual(success("web\n"));
      await until("it has read its configuration again", async () => (await ask("/state")) === "200 second");

      await stopsCleanly("web");
      const followed = await outcomeOf(follower);
      expect(followed.exitCode).toBe(0);
      expect(followed.stdout).toMatch(/"GET \/page.html HTTP\/1.1" 200 10 [^]*"GET \/missing HTTP\/1.1" 404 /);
      expect(followed.stderr).toMatch(
        /signal 1 \(SIGHUP\)[^]*\[notice\] 1#1: signal 3 \(SIGQUIT\) received, shutting down/,
      );
      expect(followed.stderr).toEndWith("[notice] 1#1: exit\n");
      expect(await runner.gocker(["logs", "web"])).toEqual(followed);
      await remove("web", "site");
    }),
    60_000,
  );

  test(
    "PostgreSQL: root and its own user come in, a kill is recovered from, and it shuts down when it is asked",
    withImage(async () => {
      // The image's own programs are outside PATH, as Debian has it for several versions beside each other.
      const programs = "PATH=/usr/lib/postgresql/15/bin:/usr/bin:/bin";
      const place = ["-u", "postgres", "--network", "none", "-m", "256m", "--shm-size", "32m", "-e", programs];
      const always = ["--restart", "on-failure", "--stop-signal", "SIGINT", ...check("pg_isready -q")];
      const start = `cd; test -d db || initdb -N -D db -A peer >/dev/null
        exec postgres -D db -c listen_addresses= -c logging_collector=off`;
      const data = ["-v", "data:/var/lib/postgresql"];
      await detach("run", ["--name", "db", ...place, ...always, ...data, image, "bash", "-euc", start]);
      await untilHealthy("db");
      const query = (user: string, sql: string) =>
        runner.gocker(["exec", "-u", user, "db", "psql", "-AtX", "-d", "postgres", "-c", sql]);
      const fill = "create table t (n int primary key); insert into t select generate_series(1, 1000)";
      expect(await query("postgres", fill)).toEqual(success("CREATE TABLE\nINSERT 0 1000\n"));
      expect(await query("postgres", "select sum(n) from t")).toEqual(success("500500\n"));
      // The server asks the kernel who is at the other end of its socket.
      const stranger = await query("root", "select 1");
      expect(stranger).toMatchObject({ stdout: "", exitCode: 2 });
      expect(stranger.stderr).toContain('role "root" does not exist');

      await killAndAwait("db");
      expect(await query("postgres", "select count(*) from t")).toEqual(success("1000\n"));
      expect((await runner.gocker(["logs", "db"])).stderr).toContain("automatic recovery in progress");

      expect(await exec("db", "pg_dump", "-t", "t", "-f", "/tmp/t.sql", "postgres")).toEqual(success(""));
      expect((await runner.gocker(["cp", "-q", "db:/tmp/t.sql", inSandbox("t.sql")])).exitCode).toBe(0);
      expect(readFileSync(inSandbox("t.sql"), "utf8")).toMatch(/CREATE TABLE public\.t [^]*\n1000\n\\\.\n/);

      await stopsCleanly("db");
      const { stderr } = await runner.gocker(["logs", "db"]);
      expect(stderr).toContain("received fast shutdown request");
      expect(stderr).toEndWith("database system is shut down\n");
      expect(await runner.gocker(["start", "db"])).toEqual(success("db\n"));
      await untilHealthy("db");
      expect(await query("postgres", "select count(*) from t")).toEqual(success("1000\n"));
      await stopsCleanly("db");
      await remove("db", "data");
    }),
    90_000,
  );

  test(
    "a server that takes more memory than it may is killed, and everything says why",
    withImage(async () => {
      const limits = ["-m", "64m", "--memory-swap", "64m", "--network", "none", "-u", "redis"];
      const server = ["redis-server", "--save", "", "--enable-debug-command", "yes"];
      await detach("run", ["--name", "hog", ...limits, ...check("redis-cli ping"), image, ...server]);
      await untilHealthy("hog");
      // A million keys of a hundred bytes.
      const filling = await exec("hog", "redis-cli", "debug", "populate", "1000000", "key", "100");
      expect(filling.exitCode).not.toBe(0);
      expect(await runner.gocker(["wait", "hog"])).toEqual(success("137\n"));
      expect(await stateOf("hog")).toMatchObject({ Status: "exited", ExitCode: 137, OOMKilled: true });
      expect((await runner.gocker(["ps", "-a", "--format", "{{.Status}}"])).stdout).toStartWith("Exited (137) ");
      const events = ["events", "--since", "1h", "--until", "0s", "--filter", "container=hog"];
      const { stdout } = await runner.gocker([...events, "--format", "{{.Action}}"]);
      // The command that made it so large ends with it.
      expect(stdout).toMatch(/\noom\n(?:exec_die\n)?die\n$/);
    }),
    60_000,
  );
});
