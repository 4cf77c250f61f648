import type { ExplainedPlan, RunUi } from "../../engine/run-ui.ts";
import type { ProgressListener } from "../../image/progress.ts";
import { createLog, type Log } from "./log.ts";
import { ProgressDisplay } from "./progress.ts";
import { isTerminal } from "../../linux/terminal.ts";
import { canRedraw, outputWidth, terminalSize, wantsColour } from "./terminal.ts";
import { writeError, writeOutput } from "./write.ts";

export interface UiOptions {
  readonly debug: boolean;
  /** Show nothing of a pull. */
  readonly quiet: boolean;
  /** For the summary of a pull: `Pulled alpine:3.19 (…)`. */
  readonly verb: string;
  readonly subject: string;
  /** A launch plan is coming: the result itself (`only`), or news about it (`run`). */
  readonly explain?: "only" | "run" | undefined;
}

/**
 * What a verb tells, on standard error: log lines, warnings, and the picture of a pull, each on clean ground. Disposing
 * takes an unfinished picture away.
 */
export class TerminalUi implements RunUi, Disposable {
  readonly #log: Log;
  #progress: ProgressDisplay | undefined;
  /** Takes the events of a pull; absent when nobody wants to see them. */
  readonly onPullProgress?: ProgressListener;
  /** Shows the launch plan; there when one is coming. */
  readonly onExplain?: (plan: ExplainedPlan) => void;

  private constructor(log: Log, options: UiOptions, explainer: Explainer | undefined) {
    this.#log = log;
    if (explainer !== undefined) {
      this.onExplain = (plan) => {
        this.finishPull();
        explainer(plan);
      };
    }
    if (options.quiet) return;
    this.onPullProgress = (event) => {
      this.#progress ??= new ProgressDisplay({
        verb: options.verb,
        subject: options.subject,
        redraw: canRedraw(2),
        colour: wantsColour(2),
        size: () => terminalSize(2),
        write: writeError,
      });
      this.#progress.listener(event);
    };
  }

  static async create(options: UiOptions): Promise<TerminalUi> {
    const log = await createLog({ debug: options.debug, terminal: isTerminal(2), colour: wantsColour(2) });
    return new TerminalUi(
      log,
      options,
      options.explain === undefined ? undefined : await loadExplainer(options.explain),
    );
  }

  onLog(message: string): void {
    this.finishPull();
    this.#log.info(message);
  }

  onUnseen(id: string): void {
    writeOutput(`${id}\n`);
  }

  warn(message: string): void {
    this.#progress?.[Symbol.dispose]();
    this.#log.warn(message);
  }

  /** The pull has ended well, if there was one: its summary takes the picture's place. */
  finishPull(): void {
    this.#progress?.finish();
    this.#progress = undefined;
  }

  [Symbol.dispose](): void {
    this.#progress?.[Symbol.dispose]();
    this.#progress = undefined;
  }
}

type Explainer = (plan: ExplainedPlan) => void;

/** Instead of a run the plan is the result; before one it goes where it does not mix with the container's output. */
async function loadExplainer(explain: "only" | "run"): Promise<Explainer> {
  const [{ explainPlan }, { style }] = await Promise.all([import("../explain.ts"), import("./style.ts")]);
  const descriptor = explain === "only" ? 1 : 2;
  return (plan) => {
    const width = Math.min(outputWidth(descriptor, 100), 160);
    const text = explainPlan(plan, { style: style(wantsColour(descriptor)), width });
    if (descriptor === 1) writeOutput(text);
    else writeError(text);
  };
}
