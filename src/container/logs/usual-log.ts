import type { LogConfiguration } from "../record.ts";

/** Of a container whose record says nothing of its log. */
export const usualLog: LogConfiguration = { driver: "json-file", options: {} };
