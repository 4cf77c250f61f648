import { formatAge } from "./units.ts";

/** A time of RFC 3339 as Docker's lists have it, `2026-03-01 12:30:00 +0000 UTC`; empty for none. */
export function formatTime(time: string | undefined): string {
  const date = parse(time);
  if (date === undefined) return "";
  const [day = "", clock = ""] = date.toISOString().split("T");
  return `${day} ${clock.slice(0, 8)} +0000 UTC`;
}

/** How long ago a time was, `3 weeks ago`; `N/A` for none. */
export function formatAgo(time: string | undefined, now: number): string {
  const age = formatLength(time, now);
  return age === undefined ? "N/A" : `${age} ago`;
}

/** How long it is since a time: `3 weeks`. */
export function formatLength(time: string | undefined, now: number): string | undefined {
  const date = parse(time);
  return date === undefined ? undefined : formatAge(Math.max(0, (now - date.getTime()) / 1000));
}

/** A time in nanoseconds since 1970 as docker's events have it: RFC 3339 in the local zone, nine digits of a second. */
export function formatNanosecondTime(time: bigint): string {
  const two = (number: number) => String(number).padStart(2, "0");
  const date = new Date(Number(time / 1_000_000n));
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join("-");
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
  const fraction = String(time % 1_000_000_000n).padStart(9, "0");
  const east = -date.getTimezoneOffset();
  const [hours, minutes] = [Math.floor(Math.abs(east) / 60), Math.abs(east) % 60];
  const zone = east === 0 ? "Z" : `${east < 0 ? "-" : "+"}${two(hours)}:${two(minutes)}`;
  return `${day}T${clock}.${fraction}${zone}`;
}

/** Year 1 is how Go writes that it knows no time. */
function parse(time: string | undefined): Date | undefined {
  const date = new Date(time ?? "");
  return Number.isNaN(date.getTime()) || date.getUTCFullYear() <= 1 ? undefined : date;
}
