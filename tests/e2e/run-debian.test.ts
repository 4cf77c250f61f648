import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";

import { createSandbox } from "../helpers/binary.ts";
import { canRunCorpus } from "../helpers/corpus-images.ts";
import { pushDebian } from "../helpers/debian-image.ts";
import { startRegistry } from "../helpers/registry.ts";
import { freePort, outcomeOf, Runner, success } from "../helpers/runner.ts";
import { until } from "../helpers/until.ts";

/** A distribution as it is, with a package manager and a database that wants a user of its own. */
describe.skipIf(!canRunCorpus)("Debian", () => {
  let runner: Runner;
  let image: string;
  let isThere = false;
  beforeAll(async () => {
    const registry = await startRegistry();
    runner = new Runner(await createSandbox(), registry);
    image = runner.image("library/debian-servers:1");
    isThere = await pushDebian(registry);
  }, 600_000);
  afterAll(() => runner?.[Symbol.asyncDispose]());

  /** Runs a test where the image could be made. */
  const withImage = (work: () => Promise<void>) => async () => {
    if (isThere) await work();
    else console.warn("skipped: there is no Debian");
  };
  const bash = (flags: readonly string[], script: string) =>
    runner.run([...flags, image, "bash", "-euc", script], { timeout: 120_000 });

  test(
    "is pulled, and gives a bash",
    withImage(async () => {
      const { stdout, stderr, exitCode } = await runner.run([
        image,
        "bash",
        "-c",
        "echo $BASH_VERSION; . /etc/os-release; echo $ID",
      ]);
      expect(stdout).toMatch(/^5\.\S+\ndebian\n$/);
      expect(stderr).toContain(`Pulled ${image} (1 layer, `);
      expect(exitCode).toBe(0);
    }),
    60_000,
  );

  test(
    "keeps capabilities, setuid programs and owners of its files",
    withImage(async () => {
      const script =
        "stat -c '%a %U:%G' /usr/bin/passwd /var/mail /etc/shadow /tmp; dpkg --verify base-files libc6 bash";
      expect(await bash([], script)).toEqual(
        success("4755 root:root\n2775 root:mail\n640 root:shadow\n1777 root:root\n"),
      );
    }),
  );

  test(
    "apt-get installs a package",
    withImage(async () => {
      const script = `
        apt-get -qq update; apt-get -qq install -y --no-install-recommends hello >/dev/null 2>&1
        hello; dpkg -s hello | grep ^Status`;
      const flags = [
        "--network",
        "host",
        "-e",
        "DEBIAN_FRONTEND=noninteractive",
        "-e",
        "http_proxy",
        "-e",
        "https_proxy",
      ];
      expect(await bash(flags, script)).toEqual(success("Hello, world!\nStatus: install ok installed\n"));
      expect(await bash([], "dpkg -s hello 2>/dev/null || echo gone")).toEqual(success("gone\n"));
    }),
    120_000,
  );

  test(
    "PostgreSQL: a user and a volume of its own, queries by another container, its data after its end",
    withImage(async () => {
      const programs = "PATH=/usr/lib/postgresql/15/bin:/usr/bin:/bin";
      const port = await freePort();
      // The volume belongs to whom the image's directory belongs.
      const flags = ["--network", "host", "-u", "postgres", "-e", programs, "-v", "data:/var/lib/postgresql"];
      const start = `
        cd; test -d db || initdb -D db -A trust >/dev/null
        exec postgres -D db -c listen_addresses=127.0.0.1 -p ${port} -c unix_socket_directories=/tmp -c logging_collector=off`;
      const query = (sql: string) =>
        runner.run([
          "--network",
          "host",
          "-u",
          "postgres",
          image,
          "psql",
          "-h",
          "127.0.0.1",
          "-p",
          `${port}`,
          "-Atc",
          sql,
        ]);
      const serve = async (work: () => Promise<void>) => {
        const server = runner.start(["run", "--rm", ...flags, image, "bash", "-euc", start]);
        await until(
          "the server answers",
          async () => {
            expect(server.exitCode).toBeNull();
            return (await query("select 1")).exitCode === 0;
          },
          60_000,
        );
        await work();
        // What PostgreSQL takes for a smart shutdown: it ends well.
        server.kill("SIGTERM");
        const { exitCode, stderr } = await outcomeOf(server);
        expect(stderr).toContain("database system is shut down");
        expect(exitCode).toBe(0);
      };
      await serve(async () => {
        expect(await query("select version() ~ 'PostgreSQL 15'")).toEqual(success("t\n"));
        const created = "create table t as select generate_series(1, 100000) as n; select sum(n) from t";
        expect(await query(created)).toEqual(success("SELECT 100000\n5000050000\n"));
      });
      await serve(async () => {
        expect(await query("select count(*) from t")).toEqual(success("100000\n"));
      });
      expect(existsSync(`${runner.sandbox.root}/volumes/data/_data/db/PG_VERSION`)).toBe(true);
    }),
    120_000,
  );

  test(
    "an entry point that gives up root as images of databases do, and is ended by a signal",
    withImage(async () => {
      const words = ["run", "--rm", "-v", "/var/lib/postgresql", image, "bash", "-euc"];
      const script =
        "exec setpriv --reuid=postgres --regid=postgres --clear-groups bash -c 'trap \"exit 7\" TERM; touch /tmp/on; while :; do sleep 0.01; done'";
      const child = runner.start([...words, script]);
      const { pid = 0 } = await runner.untilRunning();
      await until("it has given up root", () => existsSync(`/proc/${pid}/root/tmp/on`));
      child.kill("SIGTERM");
      expect(await outcomeOf(child)).toEqual({ stdout: "", stderr: "", exitCode: 7 });
      expect(runner.leftovers()).toEqual([]);
    }),
    30_000,
  );
});
