import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";

import { has } from "../helpers/cgroups.ts";
import { canRunCorpus } from "../helpers/corpus-images.ts";
import { createRunner, outcomeOf, type Runner, success } from "../helpers/runner.ts";
import { makeTar } from "../helpers/tar.ts";
import { until } from "../helpers/until.ts";

// Servers on large runtimes, which look at their limits themselves, have many threads and take memory as they like. The
// runtimes are this machine's: an image has nothing but the places for them.

const hasLimits = has("memory") && has("cpuset");

/** Where a program is that lies below /usr; undefined: there is none. */
function hostProgram(name: string): string | undefined {
  const path = Bun.which(name);
  const real = path === null ? undefined : realpathSync(path);
  if (real?.startsWith("/usr/") === true) return real;
  console.warn(`a server on ${name}: skipped, this machine has no ${name} below /usr`);
  return undefined;
}

interface State {
  readonly Status: string;
  readonly ExitCode: number;
  readonly OOMKilled: boolean;
}

describe.skipIf(!canRunCorpus || !hasLimits)("servers on large runtimes", () => {
  let runner: Runner;
  let image: string;
  beforeAll(async () => {
    const links = ["bin", "sbin", "lib", "lib64"].map((name) => ({ name, type: "2", link: `usr/${name}` }));
    const layer = makeTar([...links, { name: "usr/" }, { name: "tmp/", mode: 0o1777 }, { name: "app/" }]);
    runner = await createRunner([], { "places:1": { layers: [layer] } });
    image = runner.image("places:1");
  });
  afterEach(async () => {
    await runner.gocker(["rm", "-f", "server"]);
    await runner.untilClean();
  });
  afterAll(() => runner?.[Symbol.asyncDispose]());

  /** Runs a server in the background through all of its life. @param expected what it is to see of its limits */
  async function live(app: string, command: readonly string[], expected: { readonly memory: number; end: number }) {
    // What Debian's packages of Java have there instead of in /usr.
    const settings = readdirSync("/etc").filter((name) => /^java-.*-openjdk$/.test(name));
    const mounts = ["/usr", ...settings.map((name) => `/etc/${name}`)].flatMap((path) => ["-v", `${path}:${path}:ro`]);
    const limits = ["-m", "160m", "--memory-swap", "160m", "--cpuset-cpus", "0", "--restart", "on-failure:3"];
    const place = ["--network", "none", "-u", "1000:1000", "-v", `${app}:/app:ro`];
    const run = ["run", "-d", "--name", "server", ...limits, ...place, ...mounts, image, ...command];
    expect(await runner.gocker(run)).toMatchObject({ stderr: "", exitCode: 0 });

    const follower = runner.start(["logs", "-f", "server"]);
    const logged = async () => (await runner.gocker(["logs", "server"])).stdout;
    const starts = async () => (await logged()).split("\n").filter((line) => line.startsWith("ready ")).length;
    await until("it listens", async () => (await starts()) === 1, 30_000);
    const seen = /^ready memory=(\d+) processors=(\d+)$/m.exec(await logged());
    expect(Number(seen?.[1])).toBeWithin(expected.memory * 0.9, expected.memory * 1.01);
    expect(Number(seen?.[2])).toBe(1);

    const request = (path: string) => {
      const script = `exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET ${path} HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3`;
      return runner.gocker(["exec", "server", "bash", "-c", script]);
    };
    expect((await request("/hello")).stdout).toMatch(/^HTTP\/1\.\d 200 OK\r\n[^]*\r\n\r\nhello\n$/);
    expect((await request("/write")).stdout).toEndWith("written\n");
    expect(await runner.gocker(["cp", "-q", "server:/tmp/written", app])).toEqual(success(""));
    expect(readFileSync(`${app}/written`, "utf8")).toBe("of the server\n");
    expect((await runner.gocker(["top", "server", "-o", "args"])).stdout).toContain(command[0] as string);

    // More than it may have: the kernel kills it, and its policy brings it back.
    await request("/eat");
    await until("it was started again", async () => (await starts()) === 2, 30_000);
    const inspect = async (template: string) =>
      JSON.parse((await runner.gocker(["inspect", "-f", `{{json ${template}}}`, "server"])).stdout) as unknown;
    expect(await inspect(".RestartCount")).toBe(1);
    const told = await runner.gocker(["events", "--since", "1h", "--until", "0s", "--format", "{{.Action}}"]);
    const kills = told.stdout.split("\n").filter((action) => action === "oom" || action === "die");
    expect(kills.slice(-2)).toEqual(["oom", "die"]);
    expect((await request("/hello")).stdout).toEndWith("hello\n");

    expect(await runner.gocker(["stop", "-t", "20", "server"])).toEqual(success("server\n"));
    expect((await inspect(".State")) as State).toMatchObject({
      Status: "exited",
      ExitCode: expected.end,
      OOMKilled: false,
    });
    const lines = await logged();
    expect(lines).toMatch(/^ready [^]*ready [^]*\nbye\n$/);
    expect((await outcomeOf(follower)).stdout).toBe(lines);
  }

  function makeApp(name: string, file: string, source: string): string {
    const app = `${runner.sandbox.directory}/${name}`;
    mkdirSync(app, { mode: 0o755 });
    writeFileSync(`${app}/${file}`, source);
    return app;
  }

  const node = hostProgram("node");
  test.skipIf(node === undefined)("Node.js", async () => {
    const app = makeApp("node", "server.mjs", nodeServer);
    await live(app, [node ?? "", "/app/server.mjs"], { memory: 160 * 1024 * 1024, end: 0 });
  });

  const [java, javac] = [hostProgram("java"), hostProgram("javac")];
  test.skipIf(java === undefined || javac === undefined)("a Java virtual machine", async () => {
    const app = makeApp("java", "Server.java", javaServer);
    expect(Bun.spawnSync([javac ?? "", "-d", app, `${app}/Server.java`]).exitCode).toBe(0);
    const flags = ["-XX:MaxRAMPercentage=50", "-XX:MaxDirectMemorySize=1g", "-cp", "/app"];
    // Half of what the container may have; 143: what SIGTERM has ended, as it tells itself.
    await live(app, [java ?? "", ...flags, "Server"], { memory: 80 * 1024 * 1024, end: 143 });
  });
});

const nodeServer = `
  import { createServer } from "node:http";
  import { availableParallelism } from "node:os";
  import { writeFileSync } from "node:fs";

  const eaten = [];
  const paths = {
    "/hello": () => "hello\\n",
    "/write": () => (writeFileSync("/tmp/written", "of the server\\n"), "written\\n"),
    "/eat": () => { for (;;) eaten.push(Buffer.alloc(1 << 20, 1)); },
  };
  const server = createServer((request, response) => response.end(paths[request.url]()));
  process.on("SIGTERM", () => server.close(() => console.log("bye")));
  server.listen(8080, "127.0.0.1", () =>
    console.log("ready memory=" + process.constrainedMemory() + " processors=" + availableParallelism()));
`;

const javaServer = `
  import com.sun.net.httpserver.*;
  import java.net.InetSocketAddress;
  import java.nio.ByteBuffer;
  import java.nio.file.*;
  import java.util.*;

  public class Server {
    static final List<ByteBuffer> eaten = new ArrayList<>();

    static String answer(String path) throws java.io.IOException {
      if (path.equals("/write")) Files.writeString(Path.of("/tmp/written"), "of the server\\n");
      while (path.equals("/eat")) {
        ByteBuffer buffer = ByteBuffer.allocateDirect(1 << 20);
        while (buffer.hasRemaining()) buffer.put((byte) 1);
        eaten.add(buffer);
      }
      return path.equals("/write") ? "written\\n" : "hello\\n";
    }

    public static void main(String[] words) throws Exception {
      HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 8080), 0);
      server.createContext("/", exchange -> {
        byte[] body = answer(exchange.getRequestURI().getPath()).getBytes();
        exchange.sendResponseHeaders(200, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
      });
      Runtime runtime = Runtime.getRuntime();
      runtime.addShutdownHook(new Thread(() -> System.out.println("bye")));
      server.start();
      System.out.println("ready memory=" + runtime.maxMemory() + " processors=" + runtime.availableProcessors());
    }
  }
`;
