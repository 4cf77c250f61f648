import type { LoggedEvent } from "../../container/event-log.ts";
import { type FilterTest, hasLabel } from "./filter.ts";

/** Docker's filters of events. Containers are known by the beginning of their ID or name, all else by the whole. */
export const eventFilters: Readonly<Record<string, FilterTest<LoggedEvent>>> = {
  container: ({ Type, Actor }, value) =>
    Type === "container" && (Actor.ID.startsWith(value) || (Actor.Attributes["name"] ?? "").startsWith(value)),
  image: (event, value) => imageNames(event).some((name) => name === value || withoutTag(name) === value),
  volume: isActor("volume"),
  network: isActor("network"),
  type: ({ Type }, value) => Type === value,
  // `exec_create: sh` and `health_status: healthy` are actions with their details.
  event: ({ Action }, value) => Action === value || Action.startsWith(`${value}: `),
  label: ({ Actor }, value) => hasLabel(Actor.Attributes, value),
  scope: ({ scope }, value) => scope === value,
};

function isActor(type: LoggedEvent["Type"]): FilterTest<LoggedEvent> {
  return ({ Type, Actor }, value) => Type === type && (Actor.ID === value || Actor.Attributes["name"] === value);
}

/** The image that an event is of, or the container of the event. */
function imageNames({ Type, Actor }: LoggedEvent): string[] {
  if (Type === "image") return [Actor.ID, Actor.Attributes["name"] ?? ""];
  return Type === "container" ? [Actor.Attributes["image"] ?? ""] : [];
}

function withoutTag(name: string): string {
  return name.replace(/(?:@[^@]*|:[^:/]*)$/, "");
}
