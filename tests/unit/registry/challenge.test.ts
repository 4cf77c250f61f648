import { describe, expect, test } from "bun:test";
import { parseChallenges } from "../../../src/registry/challenge.ts";
import { corpusText, hasCorpus } from "../../helpers/corpus.ts";

type Expected = [scheme: string, parameters: Record<string, string>][];

const docker = { realm: "https://auth.docker.io/token", service: "registry.docker.io" };
const suse = { realm: "https://registry.suse.com/auth", service: "SUSE Linux Docker Registry" };

/** What each line of the corpus says, in its order. */
const samples: Expected[] = [
  [["bearer", { ...docker, scope: "repository:library/busybox:pull" }]],
  [["bearer", { ...docker, scope: "repository:library/busybox:pull,push" }]],
  [["bearer", { realm: "http://127.0.0.1:5000/openshift/token" }]],
  [["bearer", { ...suse, scope: "registry:catalog:*", error: "insufficient_scope" }]],
  // A quote too few: what is before it counts.
  [["bearer", suse]],
  [
    [
      "bearer",
      { realm: "https://auth.example.com/token", service: "registry.example.com", other: "fun", slashed: 'he"llo' },
    ],
  ],
  [
    [
      "bearer",
      {
        realm: "https://auth.example.io/token",
        empty: "",
        service: "registry.example.io",
        scope: "repository:library/hello-world:pull,push",
      },
    ],
  ],
  [["bearer", { realm: "localhost" }]],
  [
    ["bearer", { ...docker, scope: "repository:docker/docker:pull" }],
    ["basic", { realm: "GitHub Package Registry" }],
  ],
  [["basic", { realm: "GitHub Package Registry" }]],
  [["basic", { realm: "Case insensitive key" }]],
  [["basic", { realm: "unquoted" }]],
  [["basic", { realm: "/" }]],
  [["basic", { realm: "Dev", charset: "UTF-8" }]],
  [],
  [["basic", {}]],
  [["basic", {}]],
  [["basic", {}]],
  [["bearer", { realm: "https://somerealm", service: "someservice", scope: "somescope" }]],
  [["bearer", {}]],
];

test.skipIf(!hasCorpus)("every challenge of the corpus is read", async () => {
  const lines = (await corpusText("registry/www-authenticate-samples.txt")).split("\n");
  const headers = lines.filter((line) => line !== "" && !line.startsWith("#")).map((line) => line.split("\t")[0] ?? "");
  expect(headers).toHaveLength(samples.length);
  for (const [index, header] of headers.entries()) {
    const read = parseChallenges(header).map(({ scheme, parameters }) => [scheme, parameters]);
    expect({ header, read }).toEqual({ header, read: samples[index] as never });
  }
});

describe("parseChallenges", () => {
  test.each<[string, Expected]>([
    ["", []],
    ["Negotiate", [["negotiate", {}]]],
    [
      "Negotiate, Basic realm=x",
      [
        ["negotiate", {}],
        ["basic", { realm: "x" }],
      ],
    ],
    // A token68 looks like a parameter; nobody asks for it.
    [
      "Negotiate YWJj==, Basic realm=x",
      [
        ["negotiate", { ywjj: "=" }],
        ["basic", { realm: "x" }],
      ],
    ],
    [", ,Basic realm=x, ", [["basic", { realm: "x" }]]],
    ['Bearer realm = "a" , service="b"', [["bearer", { realm: "a", service: "b" }]]],
    ['Bearer realm="a",realm="b"', [["bearer", { realm: "b" }]]],
  ])("%p", (header, expected) => {
    expect(parseChallenges(header).map(({ scheme, parameters }) => [scheme, parameters])).toEqual(expected as never);
  });

  test("takes time that grows with the header only", () => {
    const started = performance.now();
    parseChallenges(`Bearer ${'a="\\'.repeat(50_000)}`);
    parseChallenges("a ".repeat(50_000));
    parseChallenges(`Bearer ${"a=b,".repeat(50_000)}`);
    expect(performance.now() - started).toBeLessThan(2000);
  });
});
