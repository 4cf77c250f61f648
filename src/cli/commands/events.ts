import type { LoggedEvent } from "../../container/event-log.ts";
import { events } from "../../engine/events.ts";
import { parseInstant } from "../../util/instant.ts";
import { Dictionary } from "../../util/document.ts";
import { stringifyExact } from "../../util/exact-json.ts";
import { command } from "../command.ts";
import { openEngine } from "../open-engine.ts";
import { eventFilters } from "../output/event-filter.ts";
import { parseFilters } from "../output/filter.ts";
import { harmless } from "../output/style.ts";
import { parseTemplate } from "../output/template.ts";
import { formatNanosecondTime } from "../output/when.ts";
import { listFlags } from "../output/list-flags.ts";
import { writeOutput } from "../output/write.ts";

export const eventsCommand = command({
  meta: {
    name: "events",
    description: "Follow what happens to containers, images and volumes",
    usage: "[OPTIONS]",
    operands: { minimum: 0, maximum: 0 },
    notes: [
      {
        heading: "Times",
        text:
          "10m (ten minutes ago), 2026-03-01T12:30:00Z, 2026-03-01, or seconds since 1970. Without --since only what " +
          "is to come is printed; with --until of the past, what was before that time. Events of before the machine's " +
          "start are not kept, nor are very old ones.",
      },
      { heading: "Filters", text: Object.keys(eventFilters).join(", ") },
    ],
    examples: [
      { words: "gocker events --filter event=die", does: "Wait for containers that end" },
      { words: "gocker events --since 1h --until 0s", does: "What happened in the last hour" },
      { words: "gocker events --format '{{.Action}} {{.Actor.Attributes.name}}'", does: "What happens, and to whom" },
    ],
  },
  flags: {
    since: { type: "string", valueHint: "TIME", description: "Begin with what happened after that time" },
    until: { type: "string", valueHint: "TIME", description: "End at that time" },
    filter: listFlags.filter,
    format: {
      type: "string",
      valueHint: "FORMAT",
      description: "Print json (an object a line), or by a template such as '{{.Action}} {{.Actor.ID}}'",
    },
  },
  async run({ flags, everywhere }) {
    const filter = parseFilters(flags.filter, eventFilters);
    const print = printer(flags.format);
    const time = (text: string | undefined, what: string) =>
      text === undefined || text === "" ? undefined : parseInstant(text, what, Date.now());
    const range = { since: time(flags.since, "--since"), until: time(flags.until, "--until") };
    for await (const event of events(openEngine(everywhere), { ...range, filter })) writeOutput(`${print(event)}\n`);
    return 0;
  },
});

/** @throws UsageError the template is wrong */
function printer(format: string | undefined): (event: LoggedEvent) => string {
  if (format === undefined || format === "") return line;
  if (format.trim() === "json") return stringifyExact;
  const template = parseTemplate(format);
  return (event) => template(new TemplateEvent(event));
}

/** As docker prints it; the attributes are whatever an image's labels say. */
function line({ timeNano, Type, Action, Actor }: LoggedEvent): string {
  const attributes = Object.entries(Actor.Attributes)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`);
  const list = attributes.length === 0 ? "" : ` (${attributes.join(", ")})`;
  return `${formatNanosecondTime(timeNano)} ${harmless(`${Type} ${Action} ${Actor.ID}${list}`)}`;
}

/** An event by the names that docker's templates use; its JSON is the API's. */
class TemplateEvent {
  readonly Status: string;
  readonly ID: string;
  readonly From: string;
  readonly Type: string;
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Dictionary<string> };
  readonly Scope: string;
  readonly Time: number;
  readonly TimeNano: bigint;
  readonly #event: LoggedEvent;

  constructor(event: LoggedEvent) {
    this.#event = event;
    this.Status = event.status ?? "";
    this.ID = event.id ?? "";
    this.From = event.from ?? "";
    this.Type = event.Type;
    this.Action = event.Action;
    // Which attributes there are depends on what has happened.
    this.Actor = { ID: event.Actor.ID, Attributes: Dictionary.of(event.Actor.Attributes) };
    this.Scope = event.scope;
    this.Time = event.time;
    this.TimeNano = event.timeNano;
  }

  toJSON(): LoggedEvent {
    return this.#event;
  }
}
