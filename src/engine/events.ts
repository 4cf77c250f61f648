import { type EventRange, followEvents, type LoggedEvent } from "../container/event-log.ts";
import { UsageError } from "../util/errors.ts";
import type { EngineContext } from "./context.ts";

export interface EventsOptions extends EventRange {
  readonly filter: (event: LoggedEvent) => boolean;
}

/**
 * What happens to containers, images and volumes: what is asked for of the past, then each event as it comes, until the
 * time of `until`, else for ever.
 * @throws UsageError the range ends before it begins
 */
export async function* events(
  context: Pick<EngineContext, "state">,
  options: EventsOptions,
): AsyncGenerator<LoggedEvent> {
  const { since, until, filter } = options;
  if (since !== undefined && until !== undefined && since > until) {
    throw new UsageError("the time of --since is after that of --until");
  }
  for await (const event of followEvents(context.state, { since, until })) {
    if (filter(event)) yield event;
  }
}
