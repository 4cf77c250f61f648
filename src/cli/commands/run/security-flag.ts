import { resolve } from "node:path";
import type { RunOptions } from "../../../engine/options.ts";
import { UsageError } from "../../../util/errors.ts";

type SecurityOptions = Pick<
  RunOptions,
  "noNewPrivileges" | "seccomp" | "unconfinedPaths" | "writableCgroups" | "apparmorProfile"
>;

/**
 * Reads the values of `--security-opt`, each `KEY=VALUE` or (as it once was) `KEY:VALUE`. What switches off a
 * protection that gocker does not have is accepted; what would switch one on is refused.
 * @throws {UsageError} an option that gocker does not know or cannot keep
 */
export function parseSecurityOptions(texts: readonly string[], currentDirectory: string): SecurityOptions {
  const options: SecurityOptions = { noNewPrivileges: false, seccomp: "default" };
  for (const text of texts) {
    const [, key = "", value] = /^([^=:]*)(?:[=:](.*))?$/s.exec(text) ?? [];
    if (key === "no-new-privileges") options.noNewPrivileges = readSwitch(text, key, value);
    else if (key === "writable-cgroups") options.writableCgroups = readSwitch(text, key, value);
    else if (key === "systempaths") options.unconfinedPaths = readPaths(text, value);
    else if (key === "apparmor") readApparmor(options, text, value);
    else if (key === "seccomp") options.seccomp = readSeccomp(text, value, currentDirectory);
    else refuseOthers(text, key, value);
  }
  return options;
}

function readSwitch(text: string, key: string, value = "true"): boolean {
  if (value === "true") return true;
  if (value === "false") return false;
  throw wrong(text, `${key} is true or false`);
}

function readPaths(text: string, value: string | undefined): boolean {
  if (value === "unconfined") return true;
  throw wrong(text, "systempaths can only be unconfined");
}

/** gocker has no profile of its own from which `unconfined` would free a container. */
function readApparmor(options: SecurityOptions, text: string, value: string | undefined): void {
  if (value === undefined || value === "") throw wrong(text, "apparmor needs the name of a profile");
  if (value === "unconfined") delete options.apparmorProfile;
  else options.apparmorProfile = value;
}

function readSeccomp(text: string, value: string | undefined, currentDirectory: string): SecurityOptions["seccomp"] {
  if (value === undefined || value === "") throw wrong(text, "seccomp needs a value");
  if (value === "unconfined") return "unconfined";
  return value === "builtin" || value === "default" ? "default" : { file: resolve(currentDirectory, value) };
}

function refuseOthers(text: string, key: string, value: string | undefined): void {
  if (key !== "label") throw wrong(text, "there is no such option");
  if (value !== "disable")
    throw wrong(text, "gocker gives files no SELinux labels, without which a process's is no use");
}

function wrong(text: string, reason: string): UsageError {
  return new UsageError(`invalid --security-opt ${JSON.stringify(text)}: ${reason}`, {
    hint:
      "the options are no-new-privileges[=true|false], seccomp=unconfined, seccomp=FILE, apparmor=PROFILE, " +
      "systempaths=unconfined, writable-cgroups[=true|false] and label=disable",
  });
}
