/** What the benchmark asks of a runner, one JSON object per line of its stdin. */
export type Request =
  | {
      readonly kind: "run";
      readonly command: readonly string[];
      readonly environment: Readonly<Record<string, string>>;
      /** Also measure {@link Sample.peakBytes}, with time(1) around the command: about a millisecond more. */
      readonly memory: boolean;
    }
  | {
      readonly kind: "mount";
      /** The sparse file that holds the file system; made when it is missing. */
      readonly image: string;
      readonly mountPoint: string;
    }
  /** Fails when less lies there than was to be unpacked. */
  | { readonly kind: "count"; readonly mountPoint: string; readonly atLeast: number }
  | { readonly kind: "unmount"; readonly mountPoint: string };

/** The runner's answer to a request, one line of its stdout. */
export type Answer = { readonly sample: Sample } | { readonly done: true } | { readonly problem: string };

/** One run of a command. */
export interface Sample {
  /** From before fork to after wait, in milliseconds. */
  readonly wall: number;
  /** User and system time of the command and of every process that it waited for, in milliseconds. */
  readonly cpu: number;
  /** The largest resident set of any one of these processes. */
  readonly peakBytes?: number;
}
