import { GockerError } from "../util/errors.ts";
import { findProgram, programDirectories } from "../util/trusted-program.ts";
import type { Credentials } from "./credentials.ts";

const longestAnswer = 64 * 1024;
const patience = 60_000;

/** A credential helper is missing, unsafe or broken. */
export class CredentialHelperError extends GockerError {
  override readonly name = "CredentialHelperError";
  constructor(message: string, options: { hint?: string; cause?: unknown } = {}) {
    super("CREDENTIAL_HELPER", message, options);
  }
}

/**
 * Asks `docker-credential-NAME get` for a registry's credentials. Protocol: docker-credential-helpers; the registry
 * goes in on stdin, JSON comes out. The user name `<token>` says that the secret is an identity token.
 *
 * @returns undefined when the helper has none.
 * @throws CredentialHelperError
 */
export async function askHelper(
  name: string,
  server: string,
  directories: readonly string[] = programDirectories,
): Promise<Credentials | undefined> {
  const path = findHelper(name, directories);
  const child = Bun.spawn([path, "get"], {
    stdin: new TextEncoder().encode(`${server}\n`),
    stdout: "pipe",
    stderr: "pipe",
    cwd: "/",
    env: helperEnvironment(process.env, directories),
    timeout: patience,
    killSignal: "SIGKILL",
    maxBuffer: longestAnswer,
  });
  const [output, problem, status] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  if (status !== 0) {
    // Helpers say so on stdout, in these words (docker-credential-helpers, credentials/error.go).
    const reason = output.trim() || problem.trim();
    if (/credentials not found|no credentials server url|no credentials username/i.test(reason)) return undefined;
    const end = child.signalCode === null ? `status ${status}` : child.signalCode;
    throw new CredentialHelperError(`the credential helper ${path} failed for ${server} (${end})`, {
      hint: `run it by hand: echo ${server} | ${path} get`,
    });
  }
  return readAnswer(output, path);
}

function readAnswer(output: string, path: string): Credentials | undefined {
  let answer: { Username?: unknown; Secret?: unknown };
  try {
    answer = JSON.parse(output) as typeof answer;
  } catch {
    // The output may hold the secret: neither it nor the parser's words about it are told.
    throw new CredentialHelperError(`the credential helper ${path} answered no JSON`);
  }
  const { Username: username, Secret: secret } = answer ?? {};
  if (typeof username !== "string" || typeof secret !== "string") {
    throw new CredentialHelperError(`the credential helper ${path} answered without Username and Secret`);
  }
  if (username === "<token>") return { kind: "identity-token", token: secret };
  return username === "" && secret === "" ? undefined : { kind: "password", username, password: secret };
}

function findHelper(name: string, directories: readonly string[]): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) {
    throw new CredentialHelperError(`${JSON.stringify(name)} is not the name of a credential helper`);
  }
  const program = `docker-credential-${name}`;
  const found = findProgram(program, directories);
  if (found?.isTrusted === true) return found.path;
  if (found !== undefined) {
    const { path } = found;
    throw new CredentialHelperError(`the credential helper ${path} is not run: others than root may change it`, {
      hint: `sudo chown root ${path} && sudo chmod go-w ${path}`,
    });
  }
  throw new CredentialHelperError(`the credential helper ${program} is not in ${directories.join(", ")}`, {
    hint: "install it there, or put auths into the configuration instead of credsStore and credHelpers",
  });
}

/** The helper's own settings (AWS_…, GOOGLE_…, DBUS_…) are kept; what changes how programs are loaded is not. */
function helperEnvironment(
  environment: Record<string, string | undefined>,
  directories: readonly string[],
): Record<string, string> {
  const kept = Object.entries(environment).filter(
    ([key]) => !/^(?:LD_|BUN_|NODE_|GCONV_PATH$|BASH_ENV$|ENV$|IFS$)/.test(key),
  );
  const defined = kept.flatMap(([key, value]) => (value === undefined ? [] : [[key, value] as const]));
  return { ...Object.fromEntries(defined), PATH: directories.join(":") };
}
