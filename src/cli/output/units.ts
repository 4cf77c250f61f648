const decimalUnits = ["B", "kB", "MB", "GB", "TB", "PB"];

/**
 * A number of bytes as Docker shows it: decimal units and three significant digits (`7.38MB`).
 * @param gap between number and unit
 */
export function formatSize(bytes: number, gap = ""): string {
  let unit = 0;
  let value = bytes;
  while (significant(value) >= 1000 && unit < decimalUnits.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${significant(value)}${gap}${decimalUnits[unit]}`;
}

const binaryUnits = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** A number of bytes of memory as Docker shows it: binary units and four significant digits (`7.625GiB`). */
export function formatBinarySize(bytes: number): string {
  let unit = 0;
  let value = bytes;
  while (value >= 1024 && unit < binaryUnits.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value >= 1000 ? Math.round(value) : Number(value.toPrecision(4))}${binaryUnits[unit]}`;
}

/** Rounds to three significant digits. */
function significant(value: number): number {
  return value >= 1000 ? Math.round(value) : Number(value.toPrecision(3));
}

/** How long ago, or how long, in the words and with the rounding of Docker (`About an hour`, `3 weeks`). */
export function formatAge(seconds: number): string {
  const whole = Math.floor(seconds);
  if (whole < 1) return "Less than a second";
  if (whole < 60) return count(whole, "second");
  const minutes = Math.floor(seconds / 60);
  if (minutes < 2) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.round(seconds / 3600);
  if (hours < 2) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.floor(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.floor(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.floor(hours / 24 / 30)} months`;
  return `${Math.floor(seconds / 3600 / 24 / 365)} years`;
}

/** How long something took, for people: `0.4 s`, `1.9 s`, `48 s`, `2 min 5 s`. */
export function formatDuration(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** A time that one system call or so took: `850 ns`, `12 µs`, `1.9 ms`. */
export function formatNanoseconds(nanoseconds: number): string {
  if (nanoseconds < 1000) return `${Math.round(nanoseconds)} ns`;
  if (nanoseconds < 1e6) return `${significant(nanoseconds / 1000)} µs`;
  return `${significant(nanoseconds / 1e6)} ms`;
}

/** `1 layer`, `3 layers`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
