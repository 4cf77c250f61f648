import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BlobServer, startBlobServer } from "./blob-server.ts";
import { type Certificates, makeCertificates } from "./certificates.ts";
import { corpusPath } from "./corpus.ts";
import { startTokenServer, type TokenServer, type TokenServerOptions } from "./token-server.ts";

/** Whether Debian's docker-registry and skopeo are installed: `describe.skipIf(!hasRegistry)`. */
export const hasRegistry = Bun.which("docker-registry") !== null && Bun.which("skopeo") !== null;

if (!hasRegistry) console.warn("registry tests are skipped: docker-registry or skopeo is not installed");

export interface RegistryOptions {
  /** Default: everybody may do everything. */
  auth?: "htpasswd" | "silly" | "token";
  /** The token server's ways; `users` always has {@link TestRegistry.user} too. */
  token?: TokenServerOptions;
  /** HTTPS with a certificate of an authority of its own. */
  tls?: boolean;
  /** Blobs are given out by a second server on another origin: 307. */
  redirect?: boolean;
  /** A pull-through mirror of the registry at this URL. Nothing can be pushed to it. */
  mirrorOf?: string;
}

/** A layer, a config and their descriptors that {@link TestRegistry.pushBlob} has stored. */
export interface PushedDescriptor {
  mediaType: string;
  digest: `sha256:${string}`;
  size: number;
}

/** What {@link TestRegistry.pushImage} makes an image of. */
export interface ImageContent {
  /** Lowest first. A path is read as it is; bytes too. gzip is recognised, zstd too; everything else is a plain tar. */
  layers: (string | Uint8Array)[];
  /** The `config` object of the image config: Cmd, Env and so on. */
  config?: Record<string, unknown>;
  /** More keys of the image config, or other values: `architecture`, `os`, `rootfs`, `history`. */
  imageConfig?: Record<string, unknown>;
  /** More keys of the manifest, or other values. */
  manifest?: Record<string, unknown>;
}

/** A running docker-registry on 127.0.0.1. `await using` stops it and removes its storage. */
export interface TestRegistry extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** `127.0.0.1:PORT`: what stands before the repository in a reference. */
  readonly address: string;
  /** `http://127.0.0.1:PORT` or `https://…` */
  readonly url: string;
  /** Who may push and pull where `auth` is htpasswd or token. */
  readonly user: string;
  readonly password: string;
  /** With `tls`. */
  readonly certificates: Certificates | undefined;
  /** With `auth: "token"`. */
  readonly tokens: TokenServer | undefined;
  /** With `redirect`. */
  readonly blobs: BlobServer | undefined;
  /** The storage directory; see {@link blobPath}. */
  readonly storage: string;
  readonly pid: number;
  /** What the registry has logged until now: one line per request. */
  log(): string;
  /**
   * Copies an image with skopeo, every platform of it. `image` is a file of `corpus/images` (`*.oci.tar` or a
   * docker-archive) or has skopeo's transport before it (`oci:/dir:tag`, `docker-archive:/file`). `name` is
   * `repository:tag`.
   */
  push(image: string, name: string): Promise<void>;
  /** Copies `tag` of an OCI layout directory. */
  pushLayout(directory: string, tag: string, name: string): Promise<void>;
  /** Builds an image of layers and pushes it, without any tool: for rootfs tars and for wrong images. */
  pushImage(name: string, content: ImageContent): Promise<PushedDescriptor>;
  pushBlob(repository: string, content: Uint8Array, mediaType?: string): Promise<PushedDescriptor>;
  /** Stores a manifest or index under `repository:tag` (or under its digest: `repository`). */
  pushManifest(name: string, manifest: object | Uint8Array, mediaType: string): Promise<PushedDescriptor>;
  /** Where a blob's bytes lie. The registry serves whatever is written there. */
  blobPath(digest: string): string;
  /** A request with full rights: `path` begins with `/v2/`. */
  request(path: string, init?: RequestInit): Promise<Response>;
}

/** Starts a registry; about 10 ms, 200 more with `tls` or `auth: "token"` (keys). */
export async function startRegistry(options: RegistryOptions = {}): Promise<TestRegistry> {
  await using stack = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "gocker-registry-"));
  stack.defer(() => rm(directory, { recursive: true, force: true }));
  const storage = join(directory, "storage");
  const user = "gocker";
  const password = "correct horse";

  const certificates = options.tls === true ? await makeCertificates(directory) : undefined;
  const tokens =
    options.auth === "token" ? await startTokens(directory, options.token, { [user]: password }) : undefined;
  if (tokens !== undefined) stack.use(tokens);
  // The silly registry takes any token, so its token server needs no keys.
  const silly = options.auth === "silly" ? anyToken() : undefined;
  if (silly !== undefined) stack.defer(() => silly.stop(true));
  const blobs = options.redirect === true ? stack.use(startBlobServer(storage)) : undefined;

  const configuration = {
    version: "0.1",
    log: { level: "info", accesslog: { disabled: false } },
    storage: {
      filesystem: { rootdirectory: storage },
      delete: { enabled: true },
      maintenance: { uploadpurging: { enabled: false } },
    },
    http: {
      addr: "127.0.0.1:0",
      secret: "only for tests",
      ...(certificates && {
        tls: { certificate: certificates.certificate, key: certificates.key },
      }),
    },
    ...(options.auth && {
      auth: await authentication(options.auth, directory, user, password, tokens, silly),
    }),
    ...(blobs && {
      middleware: {
        storage: [{ name: "redirect", options: { baseurl: blobs.url } }],
      },
    }),
    ...(options.mirrorOf !== undefined && {
      proxy: { remoteurl: options.mirrorOf },
    }),
  };
  const configurationFile = join(directory, "config.yml");
  // JSON is YAML.
  await Bun.write(configurationFile, JSON.stringify(configuration));

  // A test process that is killed takes its registries with it.
  const leash = Bun.which("setpriv") === null ? [] : ["setpriv", "--pdeathsig", "KILL", "--"];
  const child = Bun.spawn([...leash, "docker-registry", "serve", configurationFile], {
    // A clean environment: REGISTRY_* would change the configuration, *_PROXY the mirror's way.
    env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  stack.defer(async () => {
    child.kill("SIGKILL");
    await child.exited;
  });
  const log = new Log();
  const port = await Promise.race([
    log.listen(child.stderr),
    log.listen(child.stdout),
    child.exited.then((status) => {
      throw new Error(`docker-registry ended with ${status}:\n${log.text}`);
    }),
  ]);

  const owned = stack.move();
  const host = "127.0.0.1";
  const address = `${host}:${port}`;
  const url = `${certificates ? "https" : "http"}://${address}`;

  const authorization = async (path: string): Promise<string | undefined> => {
    if (options.auth === "htpasswd") return `Basic ${btoa(`${user}:${password}`)}`;
    if (options.auth === "silly") return "Bearer anything";
    const name = /^\/v2\/(.+)\/(?:blobs|manifests|tags)\//.exec(path)?.[1];
    if (tokens === undefined || name === undefined) return undefined;
    return `Bearer ${await tokens.issue([{ type: "repository", name, actions: ["pull", "push", "delete"] }], 300)}`;
  };
  const request: TestRegistry["request"] = async (path, init = {}) => {
    const headers = new Headers(init.headers);
    const value = await authorization(path);
    if (value !== undefined) headers.set("authorization", value);
    const tls = certificates === undefined ? {} : { tls: { ca: Bun.file(certificates.authority) } };
    return await fetch(new URL(path, url), { ...init, headers, ...tls });
  };
  const expect = async (response: Response, status: number, deed: string): Promise<Response> => {
    if (response.status === status) return response;
    throw new Error(`${deed}: ${response.status} ${await response.text()}`);
  };

  const pushBlob: TestRegistry["pushBlob"] = async (repository, content, mediaType = "application/octet-stream") => {
    const descriptor = {
      mediaType,
      digest: sha256(content),
      size: content.length,
    };
    const start = await request(`/v2/${repository}/blobs/uploads/`, {
      method: "POST",
    });
    await expect(start, 202, `begin to push a blob to ${repository}`);
    const target = new URL(start.headers.get("location") ?? "", url);
    target.searchParams.set("digest", descriptor.digest);
    const end = await request(`${target.pathname}${target.search}`, {
      method: "PUT",
      body: content,
    });
    await expect(end, 201, `push a blob to ${repository}`);
    return descriptor;
  };
  const pushManifest: TestRegistry["pushManifest"] = async (name, manifest, mediaType) => {
    const bytes = manifest instanceof Uint8Array ? manifest : new TextEncoder().encode(JSON.stringify(manifest));
    const digest = sha256(bytes);
    const [repository, tag] = splitName(name);
    const path = `/v2/${repository}/manifests/${tag ?? digest}`;
    const answer = await request(path, {
      method: "PUT",
      body: bytes,
      headers: { "content-type": mediaType },
    });
    await expect(answer, 201, `push a manifest to ${name}`);
    return { mediaType, digest, size: bytes.length };
  };
  const push: TestRegistry["push"] = async (image, name) => {
    const credentials =
      options.auth === "htpasswd" || options.auth === "token"
        ? ["--dest-creds", `${user}:${password}`]
        : options.auth === "silly"
          ? ["--dest-registry-token", "anything"]
          : ["--dest-no-creds"];
    const trust = certificates ? ["--dest-cert-dir", certificates.trust] : ["--dest-tls-verify=false"];
    await skopeo(
      directory,
      ["copy", "--all", "-q", ...credentials, ...trust],
      sourceOf(image),
      `docker://${address}/${name}`,
    );
  };

  return {
    host,
    port,
    address,
    url,
    user,
    password,
    certificates,
    tokens,
    blobs,
    storage,
    pid: child.pid,
    log: () => log.text,
    push,
    pushLayout: (layout, tag, name) => push(`oci:${layout}:${tag}`, name),
    pushBlob,
    pushManifest,
    async pushImage(name, content) {
      const [repository] = splitName(name);
      const layers: PushedDescriptor[] = [];
      const diffIds: string[] = [];
      for (const layer of content.layers) {
        const bytes = typeof layer === "string" ? await Bun.file(layer).bytes() : layer;
        const [compression, plain] = decompress(bytes);
        diffIds.push(sha256(plain));
        layers.push(await pushBlob(repository, bytes, `application/vnd.oci.image.layer.v1.tar${compression}`));
      }
      const architecture = process.arch === "arm64" ? "arm64" : "amd64";
      const imageConfig = {
        architecture,
        os: "linux",
        config: content.config ?? {},
        rootfs: { type: "layers", diff_ids: diffIds },
        ...content.imageConfig,
      };
      const configBytes = new TextEncoder().encode(JSON.stringify(imageConfig));
      const config = await pushBlob(repository, configBytes, "application/vnd.oci.image.config.v1+json");
      const mediaType = "application/vnd.oci.image.manifest.v1+json";
      return await pushManifest(name, { schemaVersion: 2, mediaType, config, layers, ...content.manifest }, mediaType);
    },
    blobPath(digest) {
      const hex = digest.slice("sha256:".length);
      return join(storage, "docker/registry/v2/blobs/sha256", hex.slice(0, 2), hex, "data");
    },
    request,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Gathers what the registry prints and finds the port that the kernel chose in it. */
class Log {
  text = "";

  async listen(stream: ReadableStream<Uint8Array>): Promise<number> {
    return await new Promise((resolve, reject) => {
      this.#read(stream, resolve).catch(reject);
    });
  }

  async #read(stream: ReadableStream<Uint8Array>, found: (port: number) => void): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      this.text += decoder.decode(chunk, { stream: true });
      const port = /listening on [^ "]*:(\d+)/.exec(this.text)?.[1];
      if (port !== undefined) found(Number(port));
    }
  }
}

async function startTokens(
  directory: string,
  options: TokenServerOptions = {},
  users: Record<string, string>,
): Promise<TokenServer> {
  const own = await mkdtemp(join(directory, "tokens-"));
  return await startTokenServer(own, {
    ...options,
    users: { ...users, ...options.users },
  });
}

function anyToken(): Bun.Server<undefined> {
  return Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => Response.json({ token: "anything" }) });
}

async function authentication(
  kind: NonNullable<RegistryOptions["auth"]>,
  directory: string,
  user: string,
  password: string,
  tokens: TokenServer | undefined,
  silly: Bun.Server<undefined> | undefined,
): Promise<object> {
  if (tokens !== undefined) {
    const { realm, service, issuer, rootCertificate } = tokens;
    return {
      token: { realm, service, issuer, rootcertbundle: rootCertificate },
    };
  }
  if (kind === "silly")
    return {
      silly: { realm: `${silly?.url.origin}/token`, service: "gocker-registry" },
    };
  const path = join(directory, "htpasswd");
  // The registry knows bcrypt only; the smallest cost, because it is paid on every request.
  await Bun.write(path, `${user}:${await Bun.password.hash(password, { algorithm: "bcrypt", cost: 4 })}\n`);
  return { htpasswd: { realm: "gocker test", path } };
}

async function skopeo(directory: string, args: string[], source: string, target: string): Promise<void> {
  const child = Bun.spawn(["skopeo", "--insecure-policy", "--tmpdir", directory, ...args, source, target], {
    env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", HOME: directory },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const [problem, status] = await Promise.all([child.stderr.text(), child.exited]);
  if (status !== 0) throw new Error(`skopeo copy ${source} ${target}: ${problem}`);
}

function sourceOf(image: string): string {
  if (/^[a-z-]+:/.test(image)) return image;
  const path = image.startsWith("/") ? image : corpusPath(join("images", image));
  return `${path.endsWith(".oci.tar") ? "oci-archive" : "docker-archive"}:${path}`;
}

function splitName(name: string): [repository: string, tag: string | undefined] {
  const colon = name.indexOf(":");
  return colon < 0 ? [name, undefined] : [name.slice(0, colon), name.slice(colon + 1)];
}

function decompress(bytes: Uint8Array): [suffix: "" | "+gzip" | "+zstd", plain: Uint8Array] {
  const owned = new Uint8Array(bytes);
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return ["+gzip", Bun.gunzipSync(owned)];
  if (bytes[0] === 0x28 && bytes[1] === 0xb5 && bytes[2] === 0x2f) return ["+zstd", Bun.zstdDecompressSync(owned)];
  return ["", bytes];
}

function sha256(bytes: Uint8Array): `sha256:${string}` {
  return `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;
}
