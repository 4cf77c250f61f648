import type { FlagDefinitions } from "../flags.ts";

/** The flags that the listing commands share. */
export const listFlags = {
  filter: {
    type: "string",
    alias: "f",
    repeated: true,
    valueHint: "KEY=VALUE",
    description: "Only those to which this applies",
  },
  format: {
    type: "string",
    valueHint: "FORMAT",
    description: "Print a table, json (an object a line), by a template such as '{{.ID}}', or 'table TEMPLATE'",
  },
  "no-trunc": { type: "boolean", description: "Cut nothing short" },
  quiet: { type: "boolean", alias: "q", description: "Print only the IDs" },
} as const satisfies FlagDefinitions;
