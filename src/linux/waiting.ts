/** Something that poll(2) waits for, and what is done when it comes. */
export interface Waiting {
  readonly fd: number;
  readonly events: number;
  serve(ready: number): void;
}
