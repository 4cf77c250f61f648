import { existsSync } from "node:fs";
import { commandNotFoundHint } from "../container/command.ts";
import { createContainer, type CreatedContainer } from "../container/create.ts";
import { resolveUserEnvironment } from "../container/environment.ts";
import { removeContainer as removeFiles } from "../container/remove.ts";
import { DirectStdio, TerminalStdio } from "../container/stdio.ts";
import { Supervisor } from "../container/supervisor.ts";
import { locateTarget } from "../container/target-path.ts";
import { distinctLayers, type StoredImage } from "../image/stored-image.ts";
import { exitCodeOf } from "../linux/process.ts";
import { isTerminal } from "../linux/terminal.ts";
import { openCgroup } from "../runtime/cgroup/open.ts";
import { ExecutionError } from "../runtime/errors.ts";
import type { LaunchPlan } from "../runtime/plan/launch-plan.ts";
import { errorMessage, NotFoundError, UsageError } from "../util/errors.ts";
import { writeFileExclusive } from "../util/exclusive-file.ts";
import { findBuiltIn, isBuiltIn } from "./built-in.ts";
import { findImage } from "./find-image.ts";
import type { EngineContext } from "./context.ts";
import type { RunOptions } from "./options.ts";
import { type ContainerStores, openContainers } from "./reconcile.ts";
import type { ExplainedPlan, RunUi } from "./run-ui.ts";

/**
 * `gocker run`: finds or pulls the image, makes a container of it, runs that in the foreground, and removes it when the
 * options say so.
 * @returns the exit code of the container's program: 128 and the signal's number when a signal ended it
 * @throws ExecutionError when the program cannot be executed; any GockerError when the container could not be started
 */
export async function run(context: EngineContext, options: RunOptions, ui: RunUi): Promise<number> {
  checkBeforehand(options);
  const environment = resolveUserEnvironment(options.environment, options.environmentFiles, process.env);
  const stores = await openContainers(context, (id, error) =>
    ui.warn(`container ${id.slice(0, 12)} could not be put in order: ${errorMessage(error)}`),
  );
  using created = await createFromImage({ context, options, ui, stores, environment });
  const { claim } = created;
  // A clean-up that fails is told beside what failed before it, and keeps none of the others from being done.
  await using cleanup = new AsyncDisposableStack();
  cleanup.use(claim);
  if (options.remove || options.explain === "only") {
    cleanup.defer(() => removeFiles(stores, claim, { anonymousVolumes: true }));
  }
  try {
    const code = await runCreated(created, options, ui);
    if (options.explain !== "only") claim.markExited({ exitCode: code });
    return code;
  } catch (error) {
    const exitCode = error instanceof ExecutionError ? error.exitCode : 125;
    cleanup.defer(() => claim.markExited({ exitCode, error: errorMessage(error) }));
    throw error;
  }
}

/** What can be refused before an image is pulled. */
function checkBeforehand(options: RunOptions): void {
  if (options.interactive && options.terminal && !isTerminal(0)) {
    throw new UsageError("the input device is not a TTY", {
      hint: "leave out -t when the input is a file or a pipe",
    });
  }
  if (options.cidFile !== undefined && existsSync(options.cidFile)) {
    throw new UsageError(`the container ID file ${options.cidFile} exists`, {
      hint: "another container may run under it: remove the file or name another one",
    });
  }
}

interface CreateRequest {
  readonly context: EngineContext;
  readonly options: RunOptions;
  readonly ui: RunUi;
  readonly stores: ContainerStores;
  readonly environment: readonly string[];
}

async function createFromImage(request: CreateRequest): Promise<CreatedContainer> {
  const { context, options, stores, environment } = request;
  using found = await findOrPull(request);
  const { image } = found;
  const created = await createContainer({
    ...stores,
    root: context.root,
    image: {
      reference: options.image,
      id: image.id,
      config: image.config,
      layers: distinctLayers(image.config.rootfs.diff_ids).map((diffId) => ({
        diffId,
        directory: context.images.layerDirectory(diffId),
      })),
    },
    options,
    name: options.name,
    remove: options.remove,
    user: options.user,
    groupAdd: options.groupAdd,
    environment,
    addHosts: options.addHosts,
    dns: options.dns,
    seccomp: options.seccomp,
  });
  try {
    if (options.cidFile !== undefined) writeFileExclusive(options.cidFile, created.claim.id);
  } catch (error) {
    await removeFiles(stores, created.claim, { anonymousVolumes: true });
    throw error;
  }
  return created;
}

/** An image that nobody can remove as long as this is held: until a container's record names it. */
interface PinnedImage extends Disposable {
  readonly image: StoredImage;
}

async function findOrPull({ context, options, ui }: CreateRequest): Promise<PinnedImage> {
  if (isBuiltIn(options.image)) {
    const { id } = await findBuiltIn(context, options.image, { platform: options.platform });
    return pinned(context, id, options.image);
  }
  if (options.pull !== "always") {
    const present = await pinnedIfPresent(context, options.image);
    if (present !== undefined) {
      if (present.image.certain && (await fitsPlatform(present.image, options.platform))) return present;
      present[Symbol.dispose]();
      // What the last boot may have damaged is put right first, and not while others are kept from it.
      const mended = await findImage(context, options.image, { onProgress: ui.onPullProgress });
      if (mended !== undefined && (await fitsPlatform(mended, options.platform))) {
        return pinned(context, mended.id, options.image);
      }
    }
    if (options.pull === "never") throw noSuchImage(options.image);
  }
  const { pull } = await import("./pull.ts");
  const { image, substituted } = await pull(context, options.image, {
    platform: options.platform,
    onProgress: ui.onPullProgress,
  });
  if (substituted !== undefined) {
    ui.warn(`${options.image} has no tag "latest": took "${substituted}", the last one that the registry lists`);
  }
  return pinned(context, image.id, options.image);
}

async function pinnedIfPresent({ images }: EngineContext, nameOrId: string): Promise<PinnedImage | undefined> {
  using cleanup = new DisposableStack();
  const pin = cleanup.use(await images.pin());
  const image = images.resolve(nameOrId);
  if (image === undefined) return undefined;
  cleanup.move();
  return { image, [Symbol.dispose]: () => pin[Symbol.dispose]() };
}

async function pinned(context: EngineContext, id: string, name: string): Promise<PinnedImage> {
  const found = await pinnedIfPresent(context, id);
  if (found === undefined) throw noSuchImage(name);
  return found;
}

async function fitsPlatform(image: StoredImage, wanted: string | undefined): Promise<boolean> {
  if (wanted === undefined) return true;
  const { parsePlatform, platformDistance } = await import("../oci/platform.ts");
  return platformDistance(image.config, parsePlatform(wanted)) !== undefined;
}

function noSuchImage(name: string): NotFoundError {
  return new NotFoundError(`no such image here: ${name}`, { hint: "leave out --pull=never to pull it" });
}

async function runCreated(created: CreatedContainer, options: RunOptions, ui: RunUi): Promise<number> {
  const { claim, spec, rootFileSystem, imageRoot } = created;
  using cgroup = openCgroup(spec.linux?.cgroupsPath ?? `/gocker/${claim.id}`);
  using stdio = options.terminal
    ? new TerminalStdio({ interactive: options.interactive })
    : await DirectStdio.open({ interactive: options.interactive, owner: spec.process?.user.uid ?? 0 });
  const supervisor = new Supervisor({
    claim,
    spec,
    root: rootFileSystem,
    cgroup,
    stdio,
    reaper: options.init,
    resolveTarget: (path) => locateTarget(imageRoot, path),
    ...(options.explain === "run" && {
      onLaunched: (plan: LaunchPlan, times: readonly bigint[]) => ui.onExplain?.(explained(plan, times)),
    }),
  });
  if (options.explain === "only") {
    ui.onExplain?.(explained(supervisor.plan()));
    return 0;
  }
  ui.onLog(`Running [${(spec.process?.args ?? []).join(" ")}] on image ${options.image}`);
  ui.onLog(`Starting container ${claim.id}`);
  try {
    return exitCodeOf(await supervisor.run());
  } catch (error) {
    throw error instanceof ExecutionError && error.exitCode === 127 ? withHint(error, created, options) : error;
  }
}

/** Words after the image replace ENTRYPOINT; who meant them as its arguments is told how to pass them. */
function withHint(error: ExecutionError, created: CreatedContainer, options: RunOptions): ExecutionError {
  const hint = commandNotFoundHint({ ...options, image: created.imageConfig.config }, options.image);
  return hint === undefined ? error : new ExecutionError(error.program, error.reason, error.exitCode, { hint });
}

/** The plan with what each step took: the time since the step before it that ran. */
function explained(plan: LaunchPlan, readings?: readonly bigint[]): ExplainedPlan {
  const clone = { flags: BigInt(plan.namespaces) };
  if (readings === undefined) return { clone, steps: plan.steps };
  let previous = readings.find((reading) => reading !== 0n) ?? 0n;
  const times = readings.map((reading) => {
    if (reading === 0n) return 0;
    const took = Number(reading - previous);
    previous = reading;
    return took;
  });
  return { clone, steps: plan.steps, times };
}
