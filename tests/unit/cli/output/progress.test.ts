import { describe, expect, test } from "bun:test";
import { ProgressDisplay } from "../../../../src/cli/output/progress.ts";
import { ProgressModel } from "../../../../src/cli/output/progress-model.ts";
import { progressLines } from "../../../../src/cli/output/progress-view.ts";
import { style } from "../../../../src/cli/output/style.ts";
import type { LayerProgress } from "../../../../src/image/progress.ts";

const megabyte = 1_000_000;

function layer(number: number, size = 10 * megabyte): LayerProgress {
  return { digest: `sha256:${number.toString(16).padStart(64, "0").split("").toReversed().join("")}`, size };
}

const [first, second, third] = [layer(1), layer(2), layer(3)];
const manifest = { kind: "manifest", digest: layer(99).digest, layers: [first, second, third] } as const;

/** A display whose terminal and clock are the test's. */
function display(options: { redraw: boolean; columns?: number; rows?: number }) {
  const written: string[] = [];
  const clock = { now: 0 };
  const shown = new ProgressDisplay({
    verb: "Pulled",
    subject: "alpine:3.19",
    redraw: options.redraw,
    colour: false,
    size: () => ({ columns: options.columns ?? 100, rows: options.rows ?? 24 }),
    write: (text) => written.push(text),
    now: () => clock.now,
  });
  return { shown, written, clock };
}

describe("without a terminal", () => {
  test("one line for each thing that happens, and a summary", () => {
    const { shown, written, clock } = display({ redraw: false });
    const tell = shown.listener;
    tell(manifest);
    tell({ kind: "exists", layer: first });
    tell({ kind: "waiting", layer: second });
    for (let bytes = 0; bytes <= 10; bytes++) tell({ kind: "downloading", layer: third, bytes: bytes * megabyte });
    tell({ kind: "retrying", layer: third, delay: 2000, reason: new Error("connection reset") });
    tell({ kind: "unpacking", layer: third, bytes: 5 * megabyte });
    tell({ kind: "done", layer: third });
    tell({ kind: "done", layer: second });
    tell({ kind: "recording" });
    clock.now = 1900;
    shown.finish();
    expect(written.join("")).toBe(
      [
        "alpine:3.19: 3 layers",
        "100000000000: already here",
        "200000000000: waiting for another gocker that pulls it",
        "300000000000: trying again in 2.0 s: connection reset",
        "300000000000: pulled, 10 MB",
        "200000000000: pulled, 10 MB",
        "Pulled alpine:3.19 (3 layers, 20 MB in 1.9 s)",
        "",
      ].join("\n"),
    );
  });

  test("a reason cannot move the cursor", () => {
    const { shown, written } = display({ redraw: false });
    shown.listener({ kind: "retrying", layer: first, delay: 0, reason: new Error("\u001b[2J") });
    expect(written.join("")).not.toContain("\u001b");
  });

  test("says when all layers were here", () => {
    const { shown, written } = display({ redraw: false });
    shown.listener({ ...manifest, layers: [first] });
    shown.listener({ kind: "exists", layer: first });
    shown.finish();
    expect(written.at(-1)).toBe("Pulled alpine:3.19 (1 layer, all of them here already)\n");
  });

  test("an image without layers has no summary", () => {
    const { shown, written } = display({ redraw: false });
    shown.finish();
    expect(written).toEqual([]);
  });
});

describe("on a terminal", () => {
  test("draws at most fifteen times a second, over the picture before", () => {
    const { shown, written, clock } = display({ redraw: true });
    shown.listener(manifest);
    for (clock.now = 0; clock.now < 1000; clock.now++) {
      shown.listener({ kind: "downloading", layer: first, bytes: clock.now * 1000 });
    }
    expect(written.length).toBeGreaterThan(10);
    expect(written.length).toBeLessThanOrEqual(16);
    expect(written[0]).not.toContain("\u001b[J");
    for (const picture of written.slice(1)) expect(picture.startsWith("\u001b[4F\u001b[J")).toBe(true);
    shown[Symbol.dispose]();
    expect(written.at(-1)).toBe("\u001b[4F\u001b[J");
  });

  test("draws the last state soon after the last event", async () => {
    const { promise, resolve } = Promise.withResolvers<string>();
    using shown = new ProgressDisplay({
      verb: "Pulled",
      subject: "x",
      redraw: true,
      colour: false,
      size: () => ({ columns: 80, rows: 24 }),
      write: (text) => {
        if (text.includes("7 MB / 10 MB")) resolve(text);
      },
    });
    // The picture's timer keeps nobody alive.
    const alive = setInterval(() => {}, 1000);
    shown.listener(manifest);
    shown.listener({ kind: "downloading", layer: first, bytes: 7 * megabyte });
    expect(await promise).toContain("downloading");
    clearInterval(alive);
  });

  test("the summary takes the picture's place", () => {
    const { shown, written, clock } = display({ redraw: true });
    shown.listener(manifest);
    for (const one of [first, second, third]) shown.listener({ kind: "done", layer: one });
    clock.now = 2500;
    shown.finish();
    expect(written.slice(-2)).toEqual(["\u001b[4F\u001b[J", "Pulled alpine:3.19 (3 layers, 30 MB in 2.5 s)\n"]);
  });

  test("counts the rows that a narrower window breaks the picture into", () => {
    const written: string[] = [];
    let columns = 80;
    const clock = { now: 0 };
    const shown = new ProgressDisplay({
      verb: "Pulled",
      subject: "x",
      redraw: true,
      colour: false,
      size: () => ({ columns, rows: 24 }),
      write: (text) => written.push(text),
      now: () => clock.now,
    });
    shown.listener({ ...manifest, layers: [first] });
    columns = 40;
    clock.now = 1000;
    shown.listener({ kind: "downloading", layer: first, bytes: 1 });
    // 79 cells of the layer's line are two rows now; the sum's line still is one.
    expect(written[1]?.startsWith("\u001b[3F\u001b[J")).toBe(true);
  });
});

describe("the picture", () => {
  const plain = style(false);
  const model = new ProgressModel();
  model.apply(manifest);
  model.apply({ kind: "exists", layer: first });
  model.apply({ kind: "downloading", layer: second, bytes: 5 * megabyte });
  model.apply({ kind: "unpacking", layer: second, bytes: 2.5 * megabyte });
  model.apply({ kind: "downloading", layer: third, bytes: 10 * megabyte });
  model.apply({ kind: "unpacking", layer: third, bytes: 9 * megabyte });

  test("shows what has arrived and what is unpacked", () => {
    expect(progressLines(model, { columns: 100, rows: 24 }, plain, 1000)).toEqual([
      `  100000000000  exists       ${"━".repeat(40)}                10 MB`,
      `  200000000000  downloading  ${"━".repeat(10)}${"╍".repeat(10)}${"·".repeat(20)}         5 MB / 10 MB`,
      `  300000000000  unpacking    ${"━".repeat(36)}${"╍".repeat(4)}         9 MB / 10 MB`,
      "  1 of 3 layers, 15 MB of 20 MB, 15 MB/s, 0.3 s left",
    ]);
  });

  test("never is wider or higher than the window", () => {
    const many = new ProgressModel();
    many.apply({ ...manifest, layers: Array.from({ length: 60 }, (_, number) => layer(number + 1)) });
    many.apply({ kind: "downloading", layer: layer(50), bytes: 1 });
    for (const columns of [10, 20, 40, 60, 80, 200]) {
      for (const rows of [1, 2, 3, 5, 24, 100]) {
        const lines = progressLines(many, { columns, rows }, plain, 5000);
        expect(lines.length).toBeLessThanOrEqual(Math.max(1, rows - 1));
        expect(Math.max(...lines.map((line) => Bun.stringWidth(line)))).toBeLessThan(columns);
      }
    }
  });

  test("shows the layers at which something happens when there is no room for all", () => {
    const many = new ProgressModel();
    many.apply({ ...manifest, layers: Array.from({ length: 20 }, (_, number) => layer(number + 1)) });
    for (let number = 1; number <= 10; number++) many.apply({ kind: "done", layer: layer(number) });
    many.apply({ kind: "downloading", layer: layer(15), bytes: 1 });
    const lines = progressLines(many, { columns: 80, rows: 5 }, plain, 100);
    expect(lines.length).toBe(4);
    expect(lines[0]).toContain("pending");
    expect(lines[1]).toContain("f00000000000  downloading");
    expect(lines[2]).toBe("  and 18 more: 10 ready, 8 to come");
  });

  test("before the manifest it says what it waits for", () => {
    expect(progressLines(new ProgressModel(), { columns: 80, rows: 24 }, plain, 0)).toEqual(["  asking the registry"]);
  });

  test("with colour it has the same cells", () => {
    const coloured = progressLines(model, { columns: 100, rows: 24 }, style(true), 1000);
    expect(coloured.map((line) => Bun.stripANSI(line))).toEqual(
      progressLines(model, { columns: 100, rows: 24 }, plain, 1000),
    );
    expect(coloured.join("")).toContain("\u001b[32m");
  });
});
