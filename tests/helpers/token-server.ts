import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeCertificates } from "./certificates.ts";

export interface TokenServerOptions {
  /** User name → password. Nobody unless given; see {@link anonymousPull} for those without a name. */
  users?: Record<string, string>;
  /** Tokens for pulling are given without a name too. Default: true. */
  anonymousPull?: boolean;
  /** Seconds until a token ends. Default 300. */
  lifetime?: number;
  /** Whether the answer says `expires_in`; a client must take 60 s otherwise. Default: true. */
  sayLifetime?: boolean;
  /** The key of the answer that holds the token. Default `token`. */
  answerKey?: "token" | "access_token";
  /** Refresh (identity) tokens that POST accepts → the user. */
  refreshTokens?: Record<string, string>;
  /** The repositories that users without a name may not pull although {@link anonymousPull} is set. */
  privateRepositories?: string[];
}

/** What a client asked the token server for. */
export interface TokenRequest {
  method: string;
  user: string | undefined;
  service: string | undefined;
  scopes: string[];
  /** The form of a POST. */
  form: Record<string, string>;
  authorization: string | undefined;
}

/** A token server by the distribution token specification, signing RS256 with the certificate in `x5c`. */
export interface TokenServer extends AsyncDisposable {
  readonly realm: string;
  readonly service: string;
  readonly issuer: string;
  /** PEM of what the registry must trust. */
  readonly rootCertificate: string;
  readonly requests: TokenRequest[];
  /** A token with any access for any user: for the test's own pushes. */
  issue(access: { type: string; name: string; actions: string[] }[], lifetime?: number): Promise<string>;
}

/** Starts a token server on a port of the kernel's choice; the certificate to trust is put into `directory`. */
export async function startTokenServer(directory: string, options: TokenServerOptions = {}): Promise<TokenServer> {
  signer ??= makeSigner();
  const { authority, key, x5c } = await signer;
  const rootCertificate = join(directory, "token-authority.crt");
  await Bun.write(rootCertificate, authority);
  const service = "gocker-registry";
  const issuer = "gocker test issuer";
  const requests: TokenRequest[] = [];

  const issue: TokenServer["issue"] = async (access, lifetime = options.lifetime ?? 300) => {
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: issuer,
      sub: "",
      aud: service,
      exp: now + lifetime,
      nbf: now - 300,
      iat: now,
      jti: crypto.randomUUID(),
      access,
    };
    const input = `${encode({ typ: "JWT", alg: "RS256", x5c })}.${encode(claims)}`;
    const signature = await crypto.subtle.sign("RSASSA-PKCS1-v1_5", key, new TextEncoder().encode(input));
    return `${input}.${new Uint8Array(signature).toBase64({ alphabet: "base64url", omitPadding: true })}`;
  };

  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const url = new URL(request.url);
      const authorization = request.headers.get("authorization") ?? undefined;
      const form =
        request.method === "POST" ? Object.fromEntries(new URLSearchParams(await request.text()).entries()) : {};
      const scopes = request.method === "POST" ? [form["scope"] ?? ""] : url.searchParams.getAll("scope");
      const wanted = form["service"] ?? url.searchParams.get("service") ?? undefined;
      const [user, allowed] = identify(authorization, form, options);
      requests.push({
        method: request.method,
        user,
        service: wanted,
        scopes,
        form,
        authorization,
      });
      if (!allowed) return Response.json({ details: "incorrect username or password" }, { status: 401 });
      const access = scopes
        .flatMap((scope) => scope.split(" "))
        .filter((scope) => scope !== "")
        .map((scope) => grant(scope, user, options));
      const answer: Record<string, unknown> = {
        [options.answerKey ?? "token"]: await issue(access),
      };
      if (options.sayLifetime !== false) answer["expires_in"] = options.lifetime ?? 300;
      return Response.json(answer);
    },
  });

  return {
    realm: `http://127.0.0.1:${server.port}/token`,
    service,
    issuer,
    rootCertificate,
    requests,
    issue,
    async [Symbol.asyncDispose]() {
      await server.stop(true);
    },
  };
}

interface Signer {
  /** PEM of the authority that the signer's certificate is from. */
  authority: string;
  key: CryptoKey;
  /** The certificate, as the JOSE header wants it. */
  x5c: string[];
}

/** One for the whole process: an RSA key takes a while to find, and no test needs another. */
let signer: Promise<Signer> | undefined;

async function makeSigner(): Promise<Signer> {
  const directory = await mkdtemp(join(tmpdir(), "gocker-signer-"));
  try {
    const files = await makeCertificates(directory, "rsa");
    const text = (path: string) => Bun.file(path).text();
    const key = await importPrivateKey(await text(files.key));
    return { authority: await text(files.authority), key, x5c: [pemBody(await text(files.certificate))] };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function identify(
  authorization: string | undefined,
  form: Record<string, string>,
  options: TokenServerOptions,
): [user: string | undefined, allowed: boolean] {
  if (form["grant_type"] === "refresh_token") {
    const user = options.refreshTokens?.[form["refresh_token"] ?? ""];
    return [user, user !== undefined];
  }
  if (form["grant_type"] === "password") {
    const user = form["username"] ?? "";
    return [user, options.users?.[user] !== undefined && options.users[user] === form["password"]];
  }
  if (authorization === undefined) return [undefined, options.anonymousPull !== false];
  const text = new TextDecoder().decode(Uint8Array.fromBase64(authorization.replace(/^Basic /i, "")));
  const user = text.slice(0, text.indexOf(":"));
  return [user, options.users?.[user] === text.slice(text.indexOf(":") + 1)];
}

function grant(scope: string, user: string | undefined, options: TokenServerOptions) {
  const [type = "", name = "", actions = ""] = scope.split(":");
  const secret = user === undefined && (options.privateRepositories ?? []).includes(name);
  return {
    type,
    name,
    actions: secret ? [] : actions.split(",").filter((a) => user !== undefined || a === "pull"),
  };
}

function encode(value: unknown): string {
  return new TextEncoder().encode(JSON.stringify(value)).toBase64({ alphabet: "base64url", omitPadding: true });
}

function pemBody(pem: string): string {
  return pem.replace(/-----[A-Z ]+-----|\s/g, "");
}

async function importPrivateKey(pem: string): Promise<CryptoKey> {
  const algorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
  return await crypto.subtle.importKey("pkcs8", Uint8Array.fromBase64(pemBody(pem)), algorithm, false, ["sign"]);
}
