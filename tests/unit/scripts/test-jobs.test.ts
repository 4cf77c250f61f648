import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";

import { filtersWithoutTests, placedFiles, suites, testJobs } from "../../../scripts/lib/test-jobs.mjs";

const tests = join(import.meta.dir, "../..");

test("every file of every suite is in one job", () => {
  const files = testJobs([]).flatMap((job) => job.files);
  const all = suites.flatMap((suite) => [...new Bun.Glob(`${suite}/**/*.test.ts`).scanSync(tests)]);
  expect(files.toSorted()).toEqual(all.toSorted());
});

test("files that have a place of their own exist", () => {
  expect(placedFiles.filter((file) => !existsSync(join(tests, file)))).toEqual([]);
});

test("filters choose suites, folders and files", () => {
  const chosen = (...filters: string[]) => testJobs(filters).map(({ name }) => name);
  expect(chosen("e2e/cli.test.ts")).toEqual(["e2e/cli.test.ts"]);
  expect(chosen("unit/scripts/queue.test.ts")).toEqual(["unit/scripts/queue.test.ts"]);
  expect(chosen("unit/scripts")).toHaveLength(2);
  expect(chosen("unit/scripts", "unit/scripts/queue.test.ts")).toHaveLength(2);
  expect(new Set(testJobs(["registry"]).map(({ suite }) => suite))).toEqual(new Set(["registry"]));
});

test("what has no tests is told", () => {
  expect(filtersWithoutTests(["unit", "unit/oci", "e2e/cli.test.ts", "unit/oc", "e2e/none.test.ts", ""])).toEqual([
    "unit/oc",
    "e2e/none.test.ts",
    "",
  ]);
});
