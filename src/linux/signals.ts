/** Linux's signals, the same numbers on x86-64 and arm64. signal(7) */
const names = (
  "SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGUSR1 SIGSEGV SIGUSR2 SIGPIPE SIGALRM SIGTERM " +
  "SIGSTKFLT SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGXCPU SIGXFSZ SIGVTALRM SIGPROF SIGWINCH SIGIO " +
  "SIGPWR SIGSYS"
).split(" ");

const otherNames: Readonly<Record<string, string>> = { SIGIOT: "SIGABRT", SIGCLD: "SIGCHLD", SIGPOLL: "SIGIO" };

/** The real-time signals that the C library leaves to programs. */
const realTime = { first: 34, last: 64 } as const;

/**
 * The number of a signal: `SIGTERM`, `term`, `15`, `SIGRTMIN+3`, `RTMAX-1`; undefined for one that does not exist.
 */
export function signalNumber(text: string): number | undefined {
  if (/^\d{1,3}$/.test(text)) return existing(Number(text));
  const upper = text.toUpperCase();
  const name = upper.startsWith("SIG") ? upper : `SIG${upper}`;
  const offset = /^SIGRT(?:MIN(?:\+(\d{1,2}))?|MAX(?:-(\d{1,2}))?)$/.exec(name);
  if (offset !== null) {
    const [, above = "0", below = "0"] = offset;
    const number = name.startsWith("SIGRTMIN") ? realTime.first + Number(above) : realTime.last - Number(below);
    return number < realTime.first ? undefined : existing(number);
  }
  const index = names.indexOf((Object.hasOwn(otherNames, name) ? otherNames[name] : undefined) ?? name);
  return index < 0 ? undefined : index + 1;
}

/** The name of a signal's number, such as `SIGTERM` for 15 or `SIGRTMIN+3` for 37. */
export function signalName(number: number): string {
  const name = names[number - 1];
  if (name !== undefined) return name;
  if (number < realTime.first || number > realTime.last) return `signal ${number}`;
  const above = number - realTime.first;
  return above === 0 ? "SIGRTMIN" : `SIGRTMIN+${above}`;
}

/** What a program has done that is ended by one of these. strsignal(3) */
const faults: Readonly<Record<string, string>> = {
  SIGILL: "illegal instruction",
  SIGABRT: "aborted",
  SIGBUS: "bus error",
  SIGFPE: "floating point exception",
  SIGSEGV: "segmentation fault",
  SIGPIPE: "broken pipe",
  SIGXCPU: "CPU time limit exceeded",
  SIGXFSZ: "file size limit exceeded",
  SIGSYS: "bad system call",
};

/** {@link signalName}, with what it stands for where that tells why: `SIGSYS (bad system call)`. */
export function signalReason(number: number): string {
  const name = signalName(number);
  const fault = faults[name];
  return fault === undefined ? name : `${name} (${fault})`;
}

/** 32 and 33 are the C library's own. */
function existing(number: number): number | undefined {
  return names[number - 1] !== undefined || (number >= realTime.first && number <= realTime.last) ? number : undefined;
}
