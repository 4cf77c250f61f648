import { InvalidDocumentError } from "../util/errors.ts";
import { parseExactJson } from "../util/exact-json.ts";
import type { Device, Process, Resources, Rlimit, RuntimeSpec } from "./runtime-spec.ts";
import {
  absolutePath,
  and,
  anyPath,
  boolean,
  exactNumber,
  integer,
  listOf,
  mapOf,
  object,
  oneOf,
  optionalPath,
  optionalText,
  type Shape,
  text,
  variable,
} from "./shape.ts";

/*
 * The shapes of config.json, by the OCI runtime specification's config.md and config-linux.md. Whether a host can do what
 * is asked for, and whether it makes sense together, is the plan's to say; `linux.resources` is read by runtime/cgroup.
 */

const id = integer(0, 2 ** 32 - 2);
const anyNumber = integer(-(2 ** 63), 2 ** 64);
const texts = listOf(text);
const absent = optionalText();
const environment = listOf(variable);
/** __NEW_UTS_LEN of linux/utsname.h */
const nameOfHost = optionalText(64);

const user = object({ uid: id, gid: id, umask: integer(0, 0o777), additionalGids: listOf(id), username: text });

/** RLIM_INFINITY of getrlimit(2): 2^64-1, which JSON's numbers round up; and -1, as C writes it. */
const limit = integer(-1, 2 ** 64);
const heightOf = (value: number) => (value < 0 ? 2 ** 64 : value);

const rlimit = and(
  object({ type: text, soft: limit, hard: limit }, ["type", "soft", "hard"]),
  ({ type, soft, hard }: Rlimit, where) => {
    if (heightOf(soft) <= heightOf(hard)) return;
    throw new InvalidDocumentError(`${where}: the soft limit of ${type} (${soft}) is above the hard one (${hard})`);
  },
);

const capabilities = object({
  bounding: texts,
  effective: texts,
  inheritable: texts,
  permitted: texts,
  ambient: texts,
});

const processProperties = {
  terminal: boolean,
  user,
  args: texts,
  env: environment,
  cwd: absolutePath,
  capabilities,
  rlimits: listOf(rlimit),
  noNewPrivileges: boolean,
  oomScoreAdj: integer(-1000, 1000),
  apparmorProfile: absent,
  selinuxLabel: absent,
  scheduler: object({ policy: text, nice: anyNumber, priority: anyNumber, flags: texts }, ["policy"]),
  ioPriority: object({ class: text, priority: anyNumber }, ["class"]),
  execCPUAffinity: object({ initial: absent, final: absent }),
};
const consoleSize = object({ height: integer(0, 65535), width: integer(0, 65535) }, ["height", "width"]);
const processAtTerminal = object({ ...processProperties, consoleSize }, ["cwd"]);
const processWithoutTerminal = object(processProperties, ["cwd"]);

/** The size of a terminal is to be ignored where there is none, whatever it says. config.md, "Process" */
const processShape: Shape = (value, where) => {
  const { terminal } = (value ?? {}) as Partial<Process>;
  return terminal === true ? processAtTerminal(value, where) : processWithoutTerminal(value, where);
};

const idMapping = object({ containerID: id, hostID: id, size: integer(1, 2 ** 32 - 1) }, [
  "containerID",
  "hostID",
  "size",
]);

/** Relative ones were allowed before version 1.0.2 of the specification, and still come: from the root directory. */
const fromRoot: Shape = (value, where) => {
  const checked = anyPath(value, where) as string;
  return checked.startsWith("/") ? checked : `/${checked}`;
};

/** An empty word is no option: it comes from lists that were joined and split. */
const options: Shape = (value, where) => (texts(value, where) as string[]).filter((word) => word !== "");

const mount = object(
  {
    destination: fromRoot,
    type: absent,
    source: absent,
    options,
    uidMappings: listOf(idMapping),
    gidMappings: listOf(idMapping),
  },
  ["destination"],
);

const hook = object({ path: absolutePath, args: texts, env: environment, timeout: integer(1, 2 ** 31) }, ["path"]);

const device = and(
  object(
    {
      type: oneOf("c", "b", "u", "p"),
      path: absolutePath,
      // The kernel has 12 and 20 bits for them (MAJOR and MINOR, linux/kdev_t.h); more would make another device.
      major: integer(0, 2 ** 12 - 1),
      minor: integer(0, 2 ** 20 - 1),
      // What is above the permissions is left out later: types, and the bits that Go's os.FileMode has for them.
      fileMode: integer(0, 2 ** 32 - 1),
      uid: id,
      gid: id,
    },
    ["type", "path"],
  ),
  ({ type, major, minor }: Device, where) => {
    if (type === "p" || (major !== undefined && minor !== undefined)) return;
    throw new InvalidDocumentError(`${where}: a device of the type ${type} needs major and minor`);
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
    listenerPath: optionalPath,
    listenerMetadata: absent,
    syscalls: listOf(
      object({ names: texts, action: actions, errnoRet: errnoNumber, args: listOf(seccompArg) }, ["names", "action"]),
    ),
  },
  ["defaultAction"],
);

const namespaceTypes = oneOf("pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time");

/** No type is every type. */
const deviceRule = object({ allow: boolean, type: absent, major: anyNumber, minor: anyNumber, access: text }, [
  "allow",
]);

const resources = object({ devices: listOf(deviceRule), unified: mapOf(text) });

const linux = object({
  uidMappings: listOf(idMapping),
  gidMappings: listOf(idMapping),
  timeOffsets: mapOf(object({ secs: anyNumber, nanosecs: anyNumber })),
  sysctl: mapOf(text),
  resources,
  cgroupsPath: optionalPath,
  namespaces: listOf(object({ type: namespaceTypes, path: optionalPath }, ["type"])),
  devices: listOf(device),
  netDevices: mapOf(object({ name: text })),
  seccomp,
  rootfsPropagation: absent,
  maskedPaths: listOf(absolutePath),
  readonlyPaths: listOf(absolutePath),
  mountLabel: absent,
  personality: object({ domain: text, flags: texts }, ["domain"]),
  memoryPolicy: object({ mode: text, nodes: absent, flags: texts }),
});

const hookLists = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"] as const;

/** Versions are compatible within a major one. Semantic Versioning 2.0.0 */
const version: Shape = (value, where) => {
  const checked = text(value, where) as string;
  const major = /^(\d+)\.\d+\.\d+(?:[-+][\w.+-]*)?$/.exec(checked)?.[1];
  if (major === undefined)
    throw new InvalidDocumentError(`${where} is ${JSON.stringify(checked)}: expected a version such as 1.2.0`);
  if (major === "1") return checked;
  throw new InvalidDocumentError(`${where} is ${checked}: gocker reads version 1 of the specification`);
};

const document = object(
  {
    ociVersion: version,
    root: object({ path: anyPath, readonly: boolean }, ["path"]),
    mounts: listOf(mount),
    process: processShape,
    hostname: nameOfHost,
    domainname: nameOfHost,
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

/** Reads `linux.resources` alone, as `update --resources` gets it. @throws InvalidDocumentError */
export function parseResources(bytes: Uint8Array): Resources {
  return resources(parse(bytes, "linux.resources"), "linux.resources") as Resources;
}

function parse(bytes: Uint8Array, what: string): unknown {
  try {
    return parseExactJson(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    // The parser's stack is at its end.
    if (error instanceof RangeError) throw new InvalidDocumentError(`${what} is nested too deeply`, { cause: error });
    throw new InvalidDocumentError(`${what} is not JSON: ${(error as Error).message}`, { cause: error });
  }
}

/** Go leaves out what is zero: the user is root then. */
function withUser(process: Process): Process {
  const { uid = 0, gid = 0, ...rest } = (process.user ?? {}) as Partial<Process["user"]>;
  return { ...process, user: { uid, gid, ...rest } };
}
