import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { docker, FakeDaemon } from "../helpers/docker-daemon.ts";
import { templateDocument, templateMistakes, templateTexts } from "../helpers/template-cases.ts";

// What the unit tests expect of gocker's templates, the real docker command line does.

describe.skipIf(docker === null)("docker inspect", () => {
  let daemon: FakeDaemon;
  beforeAll(() => {
    daemon = new FakeDaemon();
    daemon.answers.set("/containers/web/json", templateDocument);
  });
  afterAll(() => daemon[Symbol.asyncDispose]());

  const inspect = (template: string) => daemon.docker("container", "inspect", "-f", template, "web");

  test.each(templateTexts)("%s", async (template, text) => {
    expect(await inspect(template)).toEqual({ stdout: `${text}\n`, stderr: "", exitCode: 0 });
  });

  test.each(templateMistakes)("%s is a mistake", async (template, reason) => {
    const { stderr, exitCode } = await inspect(template);
    expect(stderr).toBe(`template parsing error: template: :${reason}\n`);
    expect(exitCode).not.toBe(0);
  });
});
