import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { canRunBundles, OciSandbox } from "../helpers/bundle.ts";
import { success } from "../helpers/runner.ts";
import { until } from "../helpers/until.ts";

const canListen = canRunBundles && Bun.which("python3") !== null;

/** Takes one message, tells what it says and which process its descriptor is of, and kills that when its input ends. */
const listener = `
import array, os, re, signal, socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1] + "-new")
server.listen()
os.rename(sys.argv[1] + "-new", sys.argv[1])
connection, _ = server.accept()
text, ancillary, _, _ = connection.recvmsg(100, socket.CMSG_LEN(4))
(number,) = array.array("i", ancillary[0][2])
pid = re.search(r"^Pid:\\t(\\d+)", open(f"/proc/self/fdinfo/{number}").read(), re.M)[1]
print(text.decode(), pid)
sys.stdin.read()
signal.pidfd_send_signal(number, signal.SIGKILL)
`;

describe.skipIf(!canListen)("--pidfd-socket", () => {
  let sandbox: OciSandbox;
  beforeAll(async () => {
    sandbox = await OciSandbox.create();
  });
  afterAll(() => sandbox?.[Symbol.asyncDispose]());

  /** Calls gocker with a socket at which somebody takes what comes, and kills it in the end. @returns what that one has been told */
  async function told(words: (socket: string) => string[]): Promise<string> {
    const socket = join(sandbox.directory, crypto.randomUUID().slice(0, 8));
    const child = Bun.spawn(["python3", "-c", listener, socket], { stdin: "pipe", stdout: "pipe" });
    await until("somebody listens", () => existsSync(socket));
    expect(await sandbox.oci(words(socket))).toEqual(success(""));
    await child.stdin.end();
    const [text] = await Promise.all([child.stdout.text(), child.exited]);
    return text.trim();
  }

  test.each([[["create"]], [["run", "--detach"]]])("%j", async (command) => {
    const bundle = sandbox.bundle({ process: { args: ["sleep", "1000"] } });
    const text = await told((socket) => [...command, "--pidfd-socket", socket, "--bundle", bundle, "sent"]);
    expect(text).toMatch(/^standard \d+$/);
    await until("it is dead", async () => (await sandbox.state("sent")).status === "stopped");
    expect(await sandbox.oci(["delete", "sent"])).toEqual(success(""));
  });

  test("exec", async () => {
    await sandbox.runDetached("announced");
    const pidFile = join(sandbox.directory, "pid");
    const text = await told((socket) => {
      return ["exec", "--detach", "--pid-file", pidFile, "--pidfd-socket", socket, "announced", "sleep", "999"];
    });
    expect(text).toBe(`setns ${await Bun.file(pidFile).text()}`);
    expect((await sandbox.state("announced")).status).toBe("running");
    expect(await sandbox.oci(["delete", "--force", "announced"])).toEqual(success(""));
  });

  test("makes nothing when nobody listens", async () => {
    const bundle = sandbox.bundle({ process: { args: ["sleep", "1000"] } });
    const socket = join(sandbox.directory, "nobody");
    expect(await sandbox.oci(["create", "--pidfd-socket", socket, "--bundle", bundle, "unsent"])).toEqual({
      stdout: "",
      stderr: `gocker: connect ${socket}: no such file or directory (ENOENT)\n`,
      exitCode: 1,
    });
    expect(await sandbox.oci(["state", "unsent"])).toMatchObject({ exitCode: 1 });
  });
});
