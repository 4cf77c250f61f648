import { expect, test } from "bun:test";
import { annotatedProperties } from "../../../../src/runtime/cgroup/systemd-annotations.ts";

const annotated = (name: string, text: string) => annotatedProperties({ [`org.systemd.property.${name}`]: text });

test("properties of the unit", () => {
  expect(
    annotatedProperties({
      "org.opencontainers.image.title": "x",
      "org.systemd.property.TimeoutStopUSec": "uint64 5000000",
      "org.systemd.property.After": "['a.service', 'b.service']",
      "org.systemd.property.CollectMode": "'inactive-or-failed'",
    }) as unknown[],
  ).toEqual([
    ["TimeoutStopUSec", { signature: "t", value: 5000000n }],
    ["After", { signature: "as", value: ["a.service", "b.service"] }],
    ["CollectMode", { signature: "s", value: "inactive-or-failed" }],
  ]);
});

test.each([
  ["TimeoutStopSec", "5", "TimeoutStopUSec", 5000000n],
  ["TimeoutStopSec", "uint64 2", "TimeoutStopUSec", 2000000n],
  ["TimeoutStopSec", "0.25", "TimeoutStopUSec", 250000n],
])("seconds: %s %s", (name, text, property, value) => {
  expect(annotated(name, text)).toEqual([[property, { signature: "t", value }]]);
});

test("a name in capitals that ends in SEC is taken as it is", () => {
  expect(annotated("FOOSec", "5")).toEqual([["FOOSec", { signature: "i", value: 5 }]]);
});

test.each([
  ["Ab", "5", "does not name a property"],
  ["A-b-c", "5", "does not name a property"],
  ["PIDs", "[uint32 1]", "does not name a property"],
  ["TimeoutStopSec", "'5'", "is not a number of seconds"],
  ["TimeoutStopSec", "-5", "is not a number of seconds"],
  ["TimeoutStopSec", "uint64 18446744073709551615", "is too large"],
  ["Delegate", "yes", "is not a value of D-Bus's"],
])("refused: %s %s", (name, text, message) => {
  expect(() => annotated(name, text)).toThrow(`annotations["org.systemd.property.${name}"] ${message}`);
});
