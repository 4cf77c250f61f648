import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";

import { gockerBinary } from "../helpers/binary.ts";
import { alpineLayer, canRunCorpus } from "../helpers/corpus-images.ts";
import { createRunner, type Runner, success } from "../helpers/runner.ts";

describe.skipIf(!canRunCorpus)("standard input and output", () => {
  let runner: Runner;
  let image: string;
  beforeAll(async () => {
    runner = await createRunner([], { "plain:1": { layers: [alpineLayer] } });
    image = runner.image("plain:1");
  });
  afterAll(() => runner?.[Symbol.asyncDispose]());

  const shell = (flags: readonly string[], script: string) => runner.run([...flags, image, "sh", "-c", script]);

  /** A shell of the host's, in which `$G` is `gocker run --rm` and `$I` the image: its pipes are real ones. */
  const onHost = async (script: string, timeout = 30_000) => {
    const child = Bun.spawn(["bash", "-o", "pipefail", "-c", script], {
      env: {
        PATH: process.env["PATH"] ?? "",
        ...runner.sandbox.environment,
        G: `${gockerBinary()} run --rm`,
        I: image,
        D: runner.sandbox.directory,
      },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      timeout,
    });
    const [stdout, stderr, exitCode] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    return { stdout, stderr, exitCode };
  };

  test("stdout and stderr are two", async () => {
    expect(await shell([], "echo out; echo err >&2; exit 4")).toEqual({
      stdout: "out\n",
      stderr: "err\n",
      exitCode: 4,
    });
    const script = "$G $I sh -c 'echo out; echo err >&2' >$D/out 2>$D/err; cat $D/out; cat $D/err >&2";
    expect(await onHost(script)).toEqual({ stdout: "out\n", stderr: "err\n", exitCode: 0 });
  });

  test("without -i there is nothing to read", async () => {
    expect(await runner.run([image, "wc", "-c"], { stdin: "not for you" })).toEqual(success("0\n"));
    // Nor is it taken from whoever comes after.
    expect(await onHost("(echo one; echo two) | ($G $I cat; cat)")).toEqual(success("one\ntwo\n"));
  });

  test("with -i it is read to its end, and no further than the container reads", async () => {
    expect(await runner.run(["-i", image, "cat"], { stdin: "for you" })).toEqual(success("for you"));
    expect(await onHost("printf 'one\\ntwo\\n' >$D/in; ($G -i $I sh -c 'read a; echo got $a'; cat) <$D/in")).toEqual(
      success("got one\ntwo\n"),
    );
  });

  test("the end of the input ends the container, before that it waits", async () => {
    const child = runner.start(["run", "--rm", "-i", image, "sh", "-c", "read line; echo got $line; cat; echo end"]);
    void child.stdin.write("first\n");
    await child.stdin.flush();
    let output = "";
    const decoder = new TextDecoder();
    for await (const chunk of child.stdout) {
      output += decoder.decode(chunk);
      if (output !== "got first\n") continue;
      expect(child.exitCode).toBeNull();
      void child.stdin.end();
    }
    expect({ output, stderr: await child.stderr.text(), exitCode: await child.exited }).toEqual({
      output: "got first\nend\n",
      stderr: "",
      exitCode: 0,
    });
  });

  test("300 MB in and out, byte for byte", async () => {
    // A generator of bytes without order, the same every time.
    const source = "openssl enc -aes-128-ctr -K 00 -iv 00 -in /dev/zero 2>/dev/null | head -c 300000000";
    const sum = async (middle: string) =>
      (await onHost(`(${source}) 2>/dev/null ${middle} | sha256sum`, 60_000)).stdout;
    expect(await sum("| $G -i $I cat")).toBe(await sum(""));
  }, 60_000);

  test.each([
    ["a pipe", "$G -i $I cat <$D/bytes | cat"],
    ["a file", "$G -i $I cat <$D/bytes >$D/copy; cat $D/copy"],
    ["a socket", ""],
  ])("every byte passes through %s", async (_, script) => {
    const bytes = new Uint8Array(65_536 * 3).map((_byte, index) => (index * 7 + (index >> 8)) & 255);
    await Bun.write(join(runner.sandbox.directory, "bytes"), bytes);
    const digest = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
    if (script === "") {
      const {
        bytes: out,
        stderr,
        exitCode,
      } = await runner.sandbox.gocker(["run", "--rm", "-i", image, "cat"], {
        stdin: bytes,
      });
      const sum = new Bun.CryptoHasher("sha256").update(out).digest("hex");
      expect({ sum, stderr, exitCode }).toEqual({ sum: digest, stderr: "", exitCode: 0 });
    } else {
      expect(await onHost(`(${script}) | sha256sum`)).toEqual(success(`${digest}  -\n`));
    }
  });

  test("a reader that goes ends the writer: EPIPE", async () => {
    const start = performance.now();
    const outcome = await onHost("$G $I yes | head -1; echo ${PIPESTATUS[0]}");
    expect(outcome).toMatchObject({ stdout: "y\n1\n", exitCode: 0 });
    expect(performance.now() - start).toBeLessThan(5000);
    // A shell in the container sees SIGPIPE's doing.
    expect(await onHost("$G $I sh -c '(yes; echo $? >&2)' 2>$D/code | head -1; cat $D/code")).toMatchObject({
      stdout: expect.stringMatching(/^y\n(yes: .*\n)?(141|1)\n$/),
    });
    expect(runner.leftovers()).toEqual([]);
  });

  test("the same for an output that is a socket, which gocker copies", async () => {
    const child = runner.start(["run", "--rm", image, "yes"]);
    const reader = child.stdout.getReader();
    expect(new TextDecoder().decode((await reader.read()).value)).toStartWith("y\n");
    await reader.cancel();
    expect(await child.exited).not.toBe(0);
    expect(runner.leftovers()).toEqual([]);
  });

  test("outputs can be opened again by name, whoever the user is", async () => {
    const script = "echo out >/dev/stdout; echo err >/proc/self/fd/2";
    for (const user of ["root", "guest"]) {
      expect(await shell(["-u", user], script)).toEqual({ stdout: "out\n", stderr: "err\n", exitCode: 0 });
      const piped = `{ $G -u ${user} $I sh -c '${script}' 2>&1 1>&3 | sed s/^/E:/; } 3>&1 | sort`;
      expect(await onHost(piped)).toEqual(success("E:err\nout\n"));
    }
  });

  test("closed descriptors are empty ones in the container", async () => {
    expect(await onHost("$G $I ls /proc/self/fd <&- 2>&-")).toEqual(success("0\n1\n2\n3\n"));
    expect(await onHost("$G $I echo x >&-")).toMatchObject({ stdout: "", exitCode: 0 });
  });

  test("a background process of the container's keeps nothing open after its end", async () => {
    expect(await onHost("$G $I sh -c 'sleep 1000 & echo started' | cat")).toEqual(success("started\n"));
  });

  test("-it with an input that is no terminal is refused before anything is made", async () => {
    const expected = {
      stdout: "",
      stderr: "gocker: the input device is not a TTY\n  hint: leave out -t when the input is a file or a pipe\n",
      exitCode: 125,
    };
    expect(await runner.run(["-it", image, "sh"], { stdin: "exit 3\n" })).toEqual(expected);
    expect(await runner.run(["-i", "-t", runner.image("not:there"), "sh"])).toEqual(expected);
    expect(runner.leftovers()).toEqual([]);
  });

  test("-t alone gives a terminal that nobody types on", async () => {
    // A terminal ends lines with a carriage return too.
    expect(await shell(["-t"], "tty; test -t 0 && test -t 1 && test -t 2 && echo three; echo $TERM; exit 5")).toEqual({
      stdout: "/dev/pts/0\r\nthree\r\nxterm\r\n",
      stderr: "",
      exitCode: 5,
    });
    expect(await onHost("$G -t $I sh -c 'head -c 2000000 /dev/zero | tr \"\\\\0\" x' | wc -c")).toEqual(
      success("2000000\n"),
    );
  });
});
