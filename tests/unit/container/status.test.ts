import { expect, test } from "bun:test";
import { askedOptions } from "../../../src/container/asked-options.ts";
import { splitCommand } from "../../../src/container/command.ts";
import { shownStatus } from "../../../src/container/status.ts";

test("where a container is in its life", () => {
  expect(shownStatus({ status: "created" }, false)).toBe("created");
  expect(shownStatus({ status: "running" }, false)).toBe("running");
  expect(shownStatus({ status: "running" }, true)).toBe("paused");
  expect(shownStatus({ status: "restarting" }, false)).toBe("restarting");
  expect(shownStatus({ status: "exited", startedAt: "2026-01-01T00:00:00Z" }, false)).toBe("exited");
  // It could not be started.
  expect(shownStatus({ status: "exited", exitCode: 127 }, false)).toBe("created");
});

test("of the options only what says something is kept, and what is kept nowhere else", () => {
  const asked = askedOptions({
    words: [],
    privileged: false,
    readOnly: true,
    capAdd: ["NET_ADMIN"],
    capDrop: [],
    network: "none",
    entrypoint: "",
    cidFile: undefined,
    stopSignal: "SIGINT",
    resources: { memory: 1 },
    seccomp: { file: "/x" },
  });
  expect(asked).toEqual({ capAdd: ["NET_ADMIN"], network: "none", entrypoint: "", seccomp: { file: "/x" } });
});

test("a command is split into what comes from ENTRYPOINT and what follows it", () => {
  const image = { Entrypoint: ["/e"], Cmd: ["c"] };
  const split = (words: string[], more: { entrypoint?: string; dockerWords?: boolean } = {}) =>
    splitCommand({ words, image, ...more });
  expect(split([])).toEqual({ entrypoint: ["/e"], command: ["c"] });
  expect(split(["sh"])).toEqual({ entrypoint: [], command: ["sh"] });
  expect(split(["-x"])).toEqual({ entrypoint: ["/e"], command: ["-x"] });
  expect(split(["--", "a"])).toEqual({ entrypoint: ["/e"], command: ["a"] });
  expect(split(["sh"], { dockerWords: true })).toEqual({ entrypoint: ["/e"], command: ["sh"] });
  expect(split(["a"], { entrypoint: "/x" })).toEqual({ entrypoint: ["/x"], command: ["a"] });
  expect(split(["a"], { entrypoint: "" })).toEqual({ entrypoint: [], command: ["a"] });
});
