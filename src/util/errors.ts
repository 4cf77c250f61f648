/** What every gocker error carries beside its message: see {@link GockerError}. */
export interface GockerErrorOptions {
  /** What the user can do about it: one sentence, no full stop needed. */
  readonly hint?: string | undefined;
  /** The error that led to this one. */
  readonly cause?: unknown;
}

/**
 * The base of all errors that gocker throws on purpose. `message` is one sentence that says what was being done, to
 * what and why it failed; `hint` says what to do; `code` is for programs. Nothing secret goes into any of them: URLs
 * are redacted before they get here.
 */
export class GockerError extends Error {
  override readonly name: string = "GockerError";
  readonly code: string;
  readonly hint: string | undefined;

  constructor(code: string, message: string, options: GockerErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
  }
}

/** The words on the command line, or a configuration file, are not of the form that gocker understands. */
export class UsageError extends GockerError {
  override readonly name = "UsageError";
  constructor(message: string, options?: GockerErrorOptions) {
    super("USAGE", message, options);
  }
}

/** A name of something (image, container, volume, network) that does not exist here. */
export class NotFoundError extends GockerError {
  override readonly name = "NotFoundError";
  constructor(message: string, options?: GockerErrorOptions) {
    super("NOT_FOUND", message, options);
  }
}

/** A name that is already taken, or a thing that is in use, so that the wish cannot be granted. */
export class ConflictError extends GockerError {
  override readonly name = "ConflictError";
  constructor(message: string, options?: GockerErrorOptions) {
    super("CONFLICT", message, options);
  }
}

/** Bytes are not what their descriptor promised: a digest or a size differs. */
export class VerificationError extends GockerError {
  override readonly name = "VerificationError";
  readonly expected: string;
  readonly actual: string;
  constructor(what: string, expected: string, actual: string, options?: GockerErrorOptions) {
    super("VERIFICATION", `${what}: expected ${expected}, got ${actual}`, options);
    this.expected = expected;
    this.actual = actual;
  }
}

/** A document (manifest, config, archive, specification) breaks the rules of its standard. */
export class InvalidDocumentError extends GockerError {
  override readonly name = "InvalidDocumentError";
  constructor(message: string, options?: GockerErrorOptions) {
    super("INVALID_DOCUMENT", message, options);
  }
}

/** Where a failed system call stood: see {@link SystemCallError}. */
export interface SystemCallErrorOptions extends GockerErrorOptions {
  /** The path or object that the call was about. */
  readonly path?: string | undefined;
  /** The label of the launch-plan step or the deed in words, such as "mount proc at /proc". */
  readonly step?: string | undefined;
}

/** The kernel refused a system call. */
export class SystemCallError extends GockerError {
  override readonly name = "SystemCallError";
  readonly syscall: string;
  readonly errno: number;
  readonly errnoName: string;
  readonly path: string | undefined;
  readonly step: string | undefined;

  /** `errnoName` and `reason` come from `linux/errno.ts`, which makes these errors: see `systemCallError` there. */
  constructor(
    syscall: string,
    errno: { readonly number: number; readonly name: string; readonly reason: string },
    options: SystemCallErrorOptions = {},
  ) {
    const where = options.path === undefined ? "" : ` ${options.path}`;
    const deed = options.step === undefined ? `${syscall}${where}` : `${options.step}: ${syscall}${where}`;
    super(errno.name, `${deed}: ${errno.reason} (${errno.name})`, options);
    this.syscall = syscall;
    this.errno = errno.number;
    this.errnoName = errno.name;
    this.path = options.path;
    this.step = options.step;
  }
}

/** What went wrong in words, whatever was thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** What was thrown as an error, which it nearly always is. */
export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
