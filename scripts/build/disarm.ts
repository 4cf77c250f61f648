import { machineArm64, machineX64, parseElf, sectionBytes } from "./elf.ts";

/**
 * Takes from a copy of the Bun runtime the environment variables that change what code it runs, what it writes or whom
 * it trusts. gocker runs with a root user's rights and often with an environment that is not the root user's, and the
 * runtime has no switch for most of them.
 *
 * A name that is looked up is made unfindable: its first byte becomes NUL, which no environment entry can contain, so
 * nothing that a caller sets can be it (another name of the same length could be guessed). The one name which is
 * compared in machine code, `BUN_JSC_`, has its first branch made unconditional.
 *
 * Everything is looked for and has to be there, so that a new version of the runtime which spells or compares a name
 * in another way fails the build instead of shipping armed. tests/e2e/binary-environment.test.ts then shows that the
 * result does not react.
 *
 * Kept on purpose: proxies (`HTTP_PROXY`, …), certificate authorities (`NODE_EXTRA_CA_CERTS`, `SSL_CERT_FILE`,
 * `SSL_CERT_DIR`, `NODE_USE_SYSTEM_CA`), colours (`NO_COLOR`, `FORCE_COLOR`) and the locale and time zone. What the dynamic loader of
 * the C library reads (`LD_PRELOAD`, …) no program that is linked dynamically can refuse; sudo removes those.
 */
export function disarm(runtime: Uint8Array): void {
  const elf = parseElf(runtime);
  const strings = sectionBytes(runtime, elf, ".rodata");
  disarmNames(strings);
  const code = sectionBytes(runtime, elf, ".text");
  if (elf.machine === machineX64) disarmEngineOptionsX64(code);
  else if (elf.machine === machineArm64) disarmEngineOptionsArm64(code);
  else throw new Error(`cannot disarm a runtime for ELF machine ${elf.machine}`);
}

/**
 * Names with the prefix `BUN_` that must be among those found. All with that prefix are disarmed, known or not: they
 * are the runtime's own switches, and gocker needs none.
 */
const knownBunNames = [
  // Makes the executable the `bun` command, which runs any file.
  "BUN_BE_BUN",
  // Options as on bun's command line: --preload runs a file, --cpu-prof and others write files.
  "BUN_OPTIONS",
  // Open a debugger's port, connect to one, or load code before the program.
  "BUN_INSPECT",
  "BUN_INSPECT_CONNECT_TO",
  "BUN_INSPECT_PRELOAD",
  // Write a file of the caller's choice.
  "BUN_BYTECODE_ORDER_OUT",
  "BUN_BYTECODE_ORDER_NAMES_OUT",
  "BUN_BYTECODE_DIGEST_OUT",
  "BUN_TRACE",
  // Load transpiled code from a directory.
  "BUN_RUNTIME_TRANSPILER_CACHE_PATH",
  // Prints requests with their Authorization headers.
  "BUN_CONFIG_VERBOSE_FETCH",
  // Send a crash's memory contents to an address.
  "BUN_CRASH_REPORT_URL",
  "BUN_ENABLE_CRASH_REPORTING",
  "BUN_FEATURE_FLAG_INTERNAL_FOR_TESTING",
  "BUN_FEATURE_FLAG_EXPERIMENTAL_HTTP2_CLIENT",
  "BUN_CONFIG_HTTP_IDLE_TIMEOUT",
  "BUN_TMPDIR",
];

const otherNames = [
  // Switches the verification of TLS certificates off; gocker has --insecure-registry for the hosts that are meant.
  "NODE_TLS_REJECT_UNAUTHORIZED",
  // An inherited descriptor is taken for a message channel from a parent.
  "NODE_CHANNEL_FD",
  "NODE_CHANNEL_SERIALIZATION_MODE",
  "NODE_UNIQUE_ID",
  // Where modules are looked for, and compiled code is kept.
  "NODE_PATH",
  "NODE_PRESERVE_SYMLINKS",
  "NODE_COMPILE_CACHE",
  "NODE_REDIRECT_WARNINGS",
  // Data files and profiles that the engine and its libraries read or write.
  "ICU_DATA",
  "ICU_TIMEZONE_FILES_DIR",
  "JSC_PROFILER_PATH",
  "JSC_SIGNAL_FOR_GC",
  "JavaScriptCoreUseJIT",
  "MallocLogFile",
  "LSQUIC_LOG_SECRETS",
];

function disarmNames(strings: Uint8Array): void {
  const text = Buffer.from(strings.buffer, strings.byteOffset, strings.byteLength).toString("latin1");
  const found = new Set<string>();
  // `process.env.BUN_ENV` is an expression that the bundler knows, not a name that is looked up.
  for (const match of text.matchAll(/(?<!process\.env\.)BUN_(?=[A-Z])[A-Z0-9_]*/g)) {
    // Strings without terminators lie one behind the other, so a match can begin with the name and end with its
    // neighbours' (`BUN_OPTIONSBUN_INSPECT`).
    for (const name of knownBunNames) if (match[0].startsWith(name)) found.add(name);
    for (let at = 0; at !== -1; at = match[0].indexOf("BUN_", at + 1)) strings[match.index + at] = 0;
  }
  for (const name of otherNames) {
    // `NAME=` is what a child process is given, not what is looked up.
    for (const match of text.matchAll(new RegExp(`${name}(?!=)`, "g"))) {
      found.add(name);
      strings[match.index] = 0;
    }
  }
  const missing = [...knownBunNames, ...otherNames].filter((name) => !found.has(name));
  if (missing.length > 0) {
    throw new Error(`the runtime does not contain ${missing.join(", ")}: look at how it reads them before shipping it`);
  }
}

const enginePrefix = new TextEncoder().encode("BUN_JSC_");

/**
 * `BUN_JSC_*` sets options of the JavaScript engine, among them ones that replace functions by a file's
 * (`functionOverrides`), read compiled code from a directory (`diskCachePath`) or write files. The engine compares
 * each entry of the environment byte by byte: `cmpb $'B',(reg); jne next; cmpb $'U',1(reg); jne next; …`.
 */
function disarmEngineOptionsX64(code: Uint8Array): void {
  const text = Buffer.from(code.buffer, code.byteOffset, code.byteLength).toString("latin1");
  // An optional REX prefix, 80 /7 ib (cmp r/m8, imm8) with no or an 8-bit displacement, and a short jne.
  const compare = (byte: number, offset: number): string =>
    `\\x41?\\x80${offset === 0 ? "[\\x38-\\x3f]" : `[\\x78-\\x7f]${escapeByte(offset)}`}${escapeByte(byte)}\\x75`;
  const pattern = new RegExp([...enginePrefix].map((byte, index) => compare(byte, index)).join("[^]"), "g");
  const [match] = onlyMatch([...text.matchAll(pattern)]);
  const firstBranch = match.index + match[0].indexOf("\x75");
  const shortJump = 0xeb;
  code[firstBranch] = shortJump;
}

function escapeByte(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, "0")}`;
}

/** As for x64: `ldrb w, [x, #n]; cmp w, #byte; b.ne next` for each byte. */
function disarmEngineOptionsArm64(code: Uint8Array): void {
  const words = new Uint32Array(code.buffer.slice(code.byteOffset, code.byteOffset + (code.byteLength & ~3)));
  const compareWith = (byte: number | undefined): number => (0x7100001f | ((byte ?? 0) << 10)) >>> 0;
  const registerMask = 0xfffffc1f;
  const [firstCompare = 0, ...otherCompares] = [...enginePrefix].map(compareWith);
  const isBranchNotEqual = (word: number | undefined): boolean =>
    word !== undefined && (word & 0xff00001f) >>> 0 === 0x54000001;
  const matches: { index: number }[] = [];
  for (let index = 0; index < words.length; index++) {
    if (((words[index] ?? 0) & registerMask) >>> 0 !== firstCompare) continue;
    const isWhole = otherCompares.every((compare, step) => {
      return ((words[index + 3 * (step + 1)] ?? 0) & registerMask) >>> 0 === compare;
    });
    if (isWhole) matches.push({ index });
  }
  const [{ index }] = onlyMatch(matches);
  const branch = words[index + 1];
  if (branch === undefined || !isBranchNotEqual(branch)) throw new Error("BUN_JSC_ is compared without a branch");
  // b.ne has a signed 19-bit distance at bit 5, b a signed 26-bit one at bit 0.
  const distance = (branch << 8) >> 13;
  const jump = (0x14000000 | (distance & 0x03ffffff)) >>> 0;
  new DataView(code.buffer, code.byteOffset).setUint32((index + 1) * 4, jump, true);
}

function onlyMatch<T>(matches: readonly T[]): [T] {
  const [match] = matches;
  if (match === undefined || matches.length !== 1) {
    throw new Error(`the runtime compares BUN_JSC_ in ${matches.length} places that are known, expected one`);
  }
  return [match];
}
