import { resolve } from "node:path";
import type { RunOptions } from "../../../engine/options.ts";
import { UsageError } from "../../../util/errors.ts";

type SecurityOptions = Pick<RunOptions, "noNewPrivileges" | "seccomp">;

/**
 * Reads the values of `--security-opt`, each `KEY=VALUE` or (as it once was) `KEY:VALUE`. What switches off a
 * protection that gocker does not have is accepted; what would switch one on is refused.
 * @throws {UsageError} an option that gocker does not know or cannot keep
 */
export function parseSecurityOptions(texts: readonly string[], currentDirectory: string): SecurityOptions {
  const options: SecurityOptions = { noNewPrivileges: false, seccomp: "default" };
  for (const text of texts) {
    const [, key = "", value] = /^([^=:]*)(?:[=:](.*))?$/s.exec(text) ?? [];
    if (key === "no-new-privileges") options.noNewPrivileges = readSwitch(text, value);
    else if (key === "seccomp") options.seccomp = readSeccomp(text, value, currentDirectory);
    else refuseOthers(text, key, value);
  }
  return options;
}

function readSwitch(text: string, value = "true"): boolean {
  if (value === "true") return true;
  if (value === "false") return false;
  throw wrong(text, "no-new-privileges is true or false");
}

function readSeccomp(text: string, value: string | undefined, currentDirectory: string): SecurityOptions["seccomp"] {
  if (value === undefined || value === "") throw wrong(text, "seccomp needs a value");
  if (value === "unconfined") return "unconfined";
  return value === "builtin" || value === "default" ? "default" : { file: resolve(currentDirectory, value) };
}

function refuseOthers(text: string, key: string, value: string | undefined): void {
  if (key === "apparmor") {
    if (value === "unconfined") return;
    throw wrong(text, "gocker does not load AppArmor profiles");
  }
  if (key === "label") {
    if (value === "disable") return;
    throw wrong(text, "gocker does not set SELinux labels");
  }
  if (key === "systempaths" || key === "writable-cgroups") {
    throw wrong(text, `${key} is an option of Docker's that gocker does not have yet`);
  }
  throw wrong(text, "there is no such option");
}

function wrong(text: string, reason: string): UsageError {
  return new UsageError(`invalid --security-opt ${JSON.stringify(text)}: ${reason}`, {
    hint: "the options are no-new-privileges[=true|false], seccomp=unconfined and seccomp=FILE",
  });
}
