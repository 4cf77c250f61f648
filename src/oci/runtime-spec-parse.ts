import { InvalidDocumentError } from "../util/errors.ts";
import { parseExactJson } from "../util/exact-json.ts";
import type { Device, Process, Rlimit, RuntimeSpec } from "./runtime-spec.ts";
import {
  absolutePath,
  and,
  boolean,
  exactNumber,
  integer,
  listOf,
  mapOf,
  object,
  oneOf,
  type Shape,
  text,
} from "./shape.ts";

/*
 * The shapes of config.json, by the OCI runtime specification's config.md and config-linux.md. Whether a host can do what
 * is asked for, and whether it makes sense together, is the plan's to say; `linux.resources` is read by runtime/cgroup.
 */

const id = integer(0, 2 ** 32 - 2);
const anyNumber = integer(-(2 ** 63), 2 ** 64);
const texts = listOf(text);

const user = object({ uid: id, gid: id, umask: integer(0, 0o777), additionalGids: listOf(id), username: text });

const rlimit = and(
  object({ type: text, soft: anyNumber, hard: anyNumber }, ["type", "soft", "hard"]),
  ({ type, soft, hard }: Rlimit, path) => {
    if (soft <= hard || hard < 0) return;
    throw new InvalidDocumentError(`${path}: the soft limit of ${type} (${soft}) is above the hard one (${hard})`);
  },
);

const capabilities = object({
  bounding: texts,
  effective: texts,
  inheritable: texts,
  permitted: texts,
  ambient: texts,
});

const processShape = object(
  {
    terminal: boolean,
    consoleSize: object({ height: integer(0, 65535), width: integer(0, 65535) }, ["height", "width"]),
    user,
    args: texts,
    env: texts,
    cwd: text,
    capabilities,
    rlimits: listOf(rlimit),
    noNewPrivileges: boolean,
    oomScoreAdj: integer(-1000, 1000),
    apparmorProfile: text,
    selinuxLabel: text,
    scheduler: object({ policy: text, nice: anyNumber, priority: anyNumber, flags: texts }, ["policy"]),
    ioPriority: object({ class: text, priority: anyNumber }, ["class"]),
    execCPUAffinity: object({ initial: text, final: text }),
  },
  ["cwd"],
);

const idMapping = object({ containerID: id, hostID: id, size: integer(1, 2 ** 32 - 1) }, [
  "containerID",
  "hostID",
  "size",
]);

const mount = object(
  {
    // Relative ones were allowed before version 1.0.2 of the specification, and still come: from the root directory.
    destination: text,
    type: text,
    source: text,
    options: texts,
    uidMappings: listOf(idMapping),
    gidMappings: listOf(idMapping),
  },
  ["destination"],
);

const hook = object({ path: absolutePath, args: texts, env: texts, timeout: integer(1, 2 ** 31) }, ["path"]);

const device = and(
  object(
    {
      type: oneOf("c", "b", "u", "p"),
      path: absolutePath,
      // The kernel has 12 and 20 bits for them (MAJOR and MINOR, linux/kdev_t.h); more would make another device.
      major: integer(0, 2 ** 12 - 1),
      minor: integer(0, 2 ** 20 - 1),
      fileMode: integer(0, 0o177777),
      uid: id,
      gid: id,
    },
    ["type", "path"],
  ),
  ({ type, major, minor }: Device, path) => {
    if (type === "p" || (major !== undefined && minor !== undefined)) return;
    throw new InvalidDocumentError(`${path}: a device of the type ${type} needs major and minor`);
  },
);

const actions = oneOf(
  "SCMP_ACT_KILL",
  "SCMP_ACT_KILL_PROCESS",
  "SCMP_ACT_KILL_THREAD",
  "SCMP_ACT_TRAP",
  "SCMP_ACT_ERRNO",
  "SCMP_ACT_TRACE",
  "SCMP_ACT_ALLOW",
  "SCMP_ACT_LOG",
  "SCMP_ACT_NOTIFY",
);

const operators = oneOf(
  "SCMP_CMP_NE",
  "SCMP_CMP_LT",
  "SCMP_CMP_LE",
  "SCMP_CMP_EQ",
  "SCMP_CMP_GE",
  "SCMP_CMP_GT",
  "SCMP_CMP_MASKED_EQ",
);

const seccompArg = object({ index: integer(0, 5), value: exactNumber, valueTwo: exactNumber, op: operators }, [
  "index",
  "value",
  "op",
]);

const errnoNumber = integer(0, 4095);

const seccomp = object(
  {
    defaultAction: actions,
    defaultErrnoRet: errnoNumber,
    architectures: texts,
    flags: texts,
    listenerPath: text,
    listenerMetadata: text,
    syscalls: listOf(
      object({ names: texts, action: actions, errnoRet: errnoNumber, args: listOf(seccompArg) }, ["names", "action"]),
    ),
  },
  ["defaultAction"],
);

const namespaceTypes = oneOf("pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time");

const deviceRule = object({ allow: boolean, type: text, major: anyNumber, minor: anyNumber, access: text }, ["allow"]);

const linux = object({
  uidMappings: listOf(idMapping),
  gidMappings: listOf(idMapping),
  timeOffsets: mapOf(object({ secs: anyNumber, nanosecs: anyNumber })),
  sysctl: mapOf(text),
  resources: object({ devices: listOf(deviceRule), unified: mapOf(text) }),
  cgroupsPath: text,
  namespaces: listOf(object({ type: namespaceTypes, path: text }, ["type"])),
  devices: listOf(device),
  netDevices: mapOf(object({ name: text })),
  seccomp,
  rootfsPropagation: text,
  maskedPaths: texts,
  readonlyPaths: texts,
  mountLabel: text,
  personality: object({ domain: text, flags: texts }, ["domain"]),
});

const hookLists = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] as const;

/** Versions are compatible within a major one. Semantic Versioning 2.0.0 */
const version: Shape = (value, path) => {
  const checked = text(value, path) as string;
  const major = /^(\d+)\.\d+\.\d+(?:[-+][\w.+-]*)?$/.exec(checked)?.[1];
  if (major === undefined)
    throw new InvalidDocumentError(`${path} is ${JSON.stringify(checked)}: expected a version such as 1.2.0`);
  if (major === "1") return checked;
  throw new InvalidDocumentError(`${path} is ${checked}: gocker reads version 1 of the specification`);
};

const document = object(
  {
    ociVersion: version,
    root: object({ path: text, readonly: boolean }, ["path"]),
    mounts: listOf(mount),
    process: processShape,
    hostname: text,
    domainname: text,
    hooks: object(Object.fromEntries(hookLists.map((kind) => [kind, listOf(hook)]))),
    annotations: mapOf(text),
    linux,
  },
  ["ociVersion"],
);

/**
 * Reads the `config.json` of a bundle. Properties that are not known are ignored, as the specification has it
 * (config.md, "Extensibility"), and so is everything that only other platforms have.
 * @throws InvalidDocumentError it is not JSON, or a property is not as the specification has it
 */
export function parseRuntimeSpec(bytes: Uint8Array): RuntimeSpec {
  const spec = document(parse(bytes, "config.json"), "") as RuntimeSpec;
  return spec.process === undefined ? spec : { ...spec, process: withUser(spec.process) };
}

/** Reads a process alone, as `exec --process` gets it. @throws InvalidDocumentError */
export function parseProcess(bytes: Uint8Array): Process {
  return withUser(processShape(parse(bytes, "the process"), "process") as Process);
}

function parse(bytes: Uint8Array, what: string): unknown {
  try {
    return parseExactJson(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new InvalidDocumentError(`${what} is not JSON: ${(error as Error).message}`, { cause: error });
  }
}

/** Go leaves out what is zero: the user is root then. */
function withUser(process: Process): Process {
  const { uid = 0, gid = 0, ...rest } = (process.user ?? {}) as Partial<Process["user"]>;
  return { ...process, user: { uid, gid, ...rest } };
}
