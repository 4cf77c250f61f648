import { GockerError, type GockerErrorOptions, InvalidDocumentError } from "../util/errors.ts";
import { type Digest, parseDigest } from "./digest.ts";

/** The name of an image. Grammar: distribution's reference package, which every client follows. */
export interface Reference {
  /** The registry as named, with its port: `docker.io`, `localhost:5000`, `[::1]:5000`. */
  readonly domain: string;
  /** With `library/` for Docker Hub's own images. */
  readonly repository: string;
  readonly tag?: string;
  /** Decides when a tag is there too. */
  readonly digest?: Digest;
}

/** A text is no reference to an image. */
export class InvalidReferenceError extends GockerError {
  override readonly name = "InvalidReferenceError";
  constructor(text: string, reason: string, options?: GockerErrorOptions) {
    super("INVALID_REFERENCE", `${JSON.stringify(shorten(text))} is not the name of an image: ${reason}`, options);
  }
}

/** The registry of names without one. */
const defaultDomain = "docker.io";

const domainForm =
  /^(?:(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])(?:\.(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]))*|\[[a-fA-F0-9:]+\])(?::[0-9]{1,5})?$/;
const componentForm = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*$/;
const tagForm = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const longestRepository = 255;

/**
 * Reads `[domain/]name[:tag][@digest]`. No tag is added: what a missing one means is decided when it is looked up.
 *
 * @throws InvalidReferenceError with the rule that was broken.
 */
export function parseReference(text: string): Reference {
  if (text === "") throw new InvalidReferenceError(text, "it is empty");
  if (/\s/.test(text)) throw new InvalidReferenceError(text, "a name has no white space");
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)?.[0];
  if (scheme !== undefined) {
    throw new InvalidReferenceError(text, `a name has no ${scheme}`, { hint: `write ${text.slice(scheme.length)}` });
  }
  if (/^[a-f0-9]{64}$/.test(text)) {
    throw new InvalidReferenceError(text, "64 hexadecimal digits are an image's ID, not its name", {
      hint: `write NAME@sha256:${text.slice(0, 12)}… for an image by its digest`,
    });
  }
  const at = text.indexOf("@");
  const digest = at < 0 ? undefined : readDigest(text, text.slice(at + 1));
  const named = at < 0 ? text : text.slice(0, at);
  const [domain, rest] = splitDomain(named);
  const colon = rest.indexOf(":");
  const tag = colon < 0 ? undefined : readTag(text, rest.slice(colon + 1));
  const name = colon < 0 ? rest : rest.slice(0, colon);
  if (!domainForm.test(domain)) throw new InvalidReferenceError(text, domainProblem(domain));
  checkRepository(text, name);
  const repository = domain === defaultDomain && !name.includes("/") ? `library/${name}` : name;
  if (repository.length > longestRepository) {
    throw new InvalidReferenceError(
      text,
      `the repository has ${repository.length} characters, at most ${longestRepository} are allowed`,
    );
  }
  return { domain, repository, ...(tag !== undefined && { tag }), ...(digest !== undefined && { digest }) };
}

/** The whole name, nothing left to defaults but the tag: `docker.io/library/alpine:3.19`. */
export function formatReference(reference: Reference): string {
  return `${reference.domain}/${reference.repository}${suffix(reference)}`;
}

/** As short as people write it: `alpine:3.19`. It reads back as the same reference. */
export function familiarReference(reference: Reference): string {
  const { domain, repository } = reference;
  if (domain !== defaultDomain) return formatReference(reference);
  const short = repository.startsWith("library/") ? repository.slice("library/".length) : repository;
  for (const name of [short, repository]) {
    if (readsBackAs(name, reference)) return `${name}${suffix(reference)}`;
  }
  return formatReference(reference);
}

/** The same image by another tag or digest: what is not given is left out. */
export function withVersion(reference: Reference, version: { tag?: string; digest?: Digest }): Reference {
  return { domain: reference.domain, repository: reference.repository, ...version };
}

function suffix({ tag, digest }: Reference): string {
  return `${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
}

function readsBackAs(name: string, { domain, repository }: Reference): boolean {
  const [readDomain, rest] = splitDomain(name);
  return readDomain === domain && (rest.includes("/") ? rest : `library/${rest}`) === repository;
}

/** The part before the first slash is a domain when it could not be a path component, or is localhost. */
function splitDomain(name: string): [domain: string, rest: string] {
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const isDomain = /[.:]/.test(first) || first === "localhost" || first !== first.toLowerCase();
  if (!isDomain) return [defaultDomain, name];
  return [first === "index.docker.io" ? defaultDomain : first, name.slice(slash + 1)];
}

function readTag(text: string, tag: string): string {
  if (tagForm.test(tag)) return tag;
  if (tag === "") throw new InvalidReferenceError(text, "the tag after the colon is missing");
  if (tag.length > 128) {
    throw new InvalidReferenceError(text, `the tag has ${tag.length} characters, at most 128 are allowed`);
  }
  const allowed = "a tag has letters, digits, _, . and -, and begins with none of . and -";
  throw new InvalidReferenceError(text, `${JSON.stringify(tag)} is not a tag: ${allowed}`);
}

function readDigest(text: string, digest: string): Digest {
  try {
    return parseDigest(digest);
  } catch (error) {
    if (!(error instanceof InvalidDocumentError)) throw error;
    throw new InvalidReferenceError(text, error.message, { cause: error });
  }
}

function checkRepository(text: string, name: string): void {
  if (name === "") throw new InvalidReferenceError(text, "the repository is missing");
  if (name !== name.toLowerCase()) {
    throw new InvalidReferenceError(text, `the repository ${JSON.stringify(shorten(name))} must be lower case`, {
      hint: `write ${text.replace(name, name.toLowerCase())}`,
    });
  }
  for (const component of name.split("/")) {
    if (componentForm.test(component)) continue;
    if (component === "") throw new InvalidReferenceError(text, "there is nothing between two slashes, or at an end");
    const allowed = "lower-case letters and digits, with single . or _, __ or - between them";
    throw new InvalidReferenceError(text, `${JSON.stringify(shorten(component))} may only have ${allowed}`);
  }
}

function domainProblem(domain: string): string {
  const name = JSON.stringify(shorten(domain));
  // Without a dot or colon, it was taken for a domain because of its upper-case letters.
  if (/^[A-Za-z0-9_-]+$/.test(domain)) {
    return `${name} has upper-case letters, so it is taken for a registry, and no registry has such a name`;
  }
  return `${name} is not a registry's host name with a port`;
}

function shorten(text: string): string {
  return text.length <= 300 ? text : `${text.slice(0, 297)}…`;
}
