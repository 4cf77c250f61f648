import { expect, test } from "bun:test";
import { readdirSync, statSync, writeFileSync } from "node:fs";
import { type Endpoint, EndpointStore } from "../../../src/network/endpoints.ts";
import { InvalidDocumentError } from "../../../src/util/errors.ts";
import { TemporaryDirectory } from "../../helpers/temporary.ts";

const endpoint = (container: string): Endpoint => ({
  version: 1,
  container,
  name: `of-${container}`,
  attachments: [],
  publications: [],
});

test("endpoints are on record by their containers, and nobody else's business", () => {
  using directory = new TemporaryDirectory("endpoints");
  const store = new EndpointStore(directory.path);
  expect([store.isEmpty(), store.list(), store.read("a")]).toEqual([true, [], undefined]);
  expect(readdirSync(directory.path)).toEqual([]);
  store.write(endpoint("a"));
  store.write(endpoint("b"));
  store.write({ ...endpoint("a"), name: "other" });
  expect(store.read("a")).toEqual({ ...endpoint("a"), name: "other" });
  expect(new Set(store.list().map(({ name }) => name))).toEqual(new Set(["other", "of-b"]));
  expect(store.isEmpty()).toBe(false);
  expect(statSync(`${directory.path}/networks/endpoints`).mode & 0o777).toBe(0o700);
  store.remove("a");
  store.remove("a");
  store.remove("b");
  expect(store.isEmpty()).toBe(true);
});

test("documents that are none are told of, and hide no others", () => {
  using directory = new TemporaryDirectory("endpoints");
  const store = new EndpointStore(directory.path);
  store.write(endpoint("a"));
  const folder = `${directory.path}/networks/endpoints`;
  const broken = ["{", "null", "7", '{"version":2}', JSON.stringify({ ...endpoint("x"), publications: undefined })];
  for (const [index, text] of broken.entries()) {
    writeFileSync(`${folder}/${index}.json`, text);
    expect(() => store.read(String(index))).toThrow(InvalidDocumentError);
  }
  // What a writer that was killed has left is no endpoint.
  writeFileSync(`${folder}/c.json.tmp`, "{");
  const told: string[] = [];
  expect(store.list((path) => told.push(path))).toEqual([endpoint("a")]);
  expect(told.toSorted()).toEqual(broken.map((_, index) => `${folder}/${index}.json`));
});
