import type { ProgressEvent, ProgressListener } from "../../image/progress.ts";
import { ProgressModel } from "./progress-model.ts";
import { progressLines, shortDigest } from "./progress-view.ts";
import { harmless, style } from "./style.ts";
import type { TerminalSize } from "./terminal.ts";
import { count, formatDuration, formatSize } from "./units.ts";

/** Milliseconds between two pictures: fifteen a second are smooth, and cost nothing beside the pull. */
const pause = 66;

export interface ProgressOptions {
  /** In the summary: `Pulled alpine:3.19 (…)`. */
  readonly verb: string;
  readonly subject: string;
  /** Draw in place; else lines, one for each layer that is ready. */
  readonly redraw: boolean;
  readonly colour: boolean;
  /** The terminal's size, asked for at every picture: windows change. */
  readonly size: () => TerminalSize | undefined;
  readonly write: (text: string) => void;
  /** Milliseconds, from any beginning. */
  readonly now?: () => number;
}

/**
 * Shows a pull while it goes on and one line of summary when it has ended well: see {@link finish}. Disposing takes
 * the picture away, so that an error or a log line has clean ground.
 */
export class ProgressDisplay implements Disposable {
  readonly #model = new ProgressModel();
  readonly #options: ProgressOptions;
  readonly #now: () => number;
  readonly #begin: number;
  /** The widths of the last picture's lines, in cells. */
  #drawn: readonly number[] = [];
  #lastDrawn = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#begin = this.#now();
  }

  /** Takes the events of the pull. */
  readonly listener: ProgressListener = (event) => {
    const changed = this.#model.apply(event);
    if (this.#options.redraw) this.#redrawSoon();
    else if (changed || event.kind === "retrying") this.#say(event);
  };

  /** Ends the picture with the summary line; nothing when no layer had to come. */
  finish(): void {
    const elapsed = this.#now() - this.#begin;
    this[Symbol.dispose]();
    const { layers, size } = this.#model.totals();
    if (layers === 0) return;
    const { verb, subject, write } = this.#options;
    const pulled = this.#model.layers.some(({ phase }) => phase !== "exists");
    const amount = pulled ? `${formatSize(size, " ")} in ${formatDuration(elapsed)}` : "all of them here already";
    write(`${verb} ${subject} (${count(layers, "layer")}, ${amount})\n`);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#drawn.length > 0) this.#options.write(this.#clear(this.#options.size()));
    this.#drawn = [];
  }

  #redrawSoon(): void {
    const wait = this.#lastDrawn + pause - this.#now();
    if (wait <= 0) this.#draw();
    else if (this.#timer === undefined) {
      this.#timer = setTimeout(() => this.#draw(), wait);
      // The picture keeps nobody alive.
      this.#timer.unref();
    }
  }

  #draw(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const now = this.#now();
    this.#lastDrawn = now;
    const size = this.#options.size();
    if (size === undefined) return;
    const lines = progressLines(this.#model, size, style(this.#options.colour), now - this.#begin);
    // One write for the whole picture, or it would flicker.
    this.#options.write(this.#clear(size) + lines.map((line) => `${line}\n`).join(""));
    this.#drawn = lines.map((line) => Bun.stringWidth(line));
  }

  /**
   * Back to the picture's first row, and everything from there on away. A window that was made narrower has broken the
   * picture's lines into more rows. ECMA-48: CPL, ED
   */
  #clear(size: TerminalSize | undefined): string {
    if (this.#drawn.length === 0) return "";
    const columns = size?.columns ?? Number.POSITIVE_INFINITY;
    const rows = this.#drawn.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / columns)), 0);
    return `\u001b[${rows}F\u001b[J`;
  }

  #say(event: ProgressEvent): void {
    const { write, verb, subject } = this.#options;
    if (event.kind === "manifest") write(`${subject}: ${count(event.layers.length, "layer")}\n`);
    if (event.kind === "manifest" || event.kind === "recording") return;
    const name = shortDigest(event.layer.digest);
    if (event.kind === "exists") write(`${name}: already here\n`);
    else if (event.kind === "done") write(`${name}: ${verb.toLowerCase()}, ${formatSize(event.layer.size, " ")}\n`);
    else if (event.kind === "waiting") write(`${name}: waiting for another gocker that pulls it\n`);
    else if (event.kind === "retrying") {
      write(`${name}: trying again in ${formatDuration(event.delay)}: ${harmless(event.reason.message)}\n`);
    }
  }
}
