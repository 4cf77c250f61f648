import type { EndpointClient } from "./endpoint-client.ts";
import { RegistryError } from "./errors.ts";

/** A page of tags is far below this, in bytes. */
const longestPage = 16 * 1024 * 1024;
/** All pages together: a million tags of an ordinary length. */
const longestList = 64 * 1024 * 1024;
const tagsPerPage = 1000;

/**
 * Lists the tags of a repository in the registry's order, page by page where it pages (distribution specification,
 * "Listing Tags"). A registry that ignores `n` gives all at once.
 *
 * @param mostPages stop after so many, for callers to whom a part is enough.
 */
export async function listTags(
  client: EndpointClient,
  repository: string,
  { signal, mostPages = 10_000 }: { signal?: AbortSignal | undefined; mostPages?: number } = {},
): Promise<string[]> {
  const tags = new Set<string>();
  const what = `the tags of ${repository}`;
  const seen = new Set<string>();
  let length = 0;
  let path: string | undefined = `tags/list?n=${tagsPerPage}`;
  while (path !== undefined && seen.size < mostPages && !seen.has(path)) {
    seen.add(path);
    const { response, bytes } = await client.read({ repository, path, what, signal }, longestPage);
    length += bytes.length;
    if (length > longestList) {
      const registry = client.endpoint.name;
      const message = `${registry} lists the tags of ${repository} without end`;
      throw new RegistryError("protocol", message, { registry, repository, hint: "name a tag, or a digest" });
    }
    for (const tag of readPage(bytes, client.endpoint.name, repository)) tags.add(tag);
    path = nextPage(response.headers.get("link"));
  }
  return [...tags];
}

/**
 * The query of the `rel="next"` link. Only its query counts: registries behind proxies name hosts and paths there that
 * nobody else can reach.
 */
export function nextPage(link: string | null): string | undefined {
  for (const [, target = "", parameters = ""] of (link ?? "").matchAll(/<([^>]*)>((?:\s*;\s*[^;,]+)*)/g)) {
    if (!/;\s*rel\s*=\s*"?next"?\s*(?:;|$)/i.test(parameters)) continue;
    const query = target.indexOf("?");
    return query < 0 ? undefined : `tags/list${target.slice(query)}`;
  }
  return undefined;
}

/** Tags that registries keep about images under names made of digests: signatures, attestations, referrers. */
export function isReferrerTag(tag: string): boolean {
  return /^sha256-[0-9a-f]{64}(?:\.[a-z]+)?$/.test(tag);
}

/** The tags most like `wanted`, the nearest first. */
export function nearTags(wanted: string, tags: readonly string[], count = 5): string[] {
  const near = tags.flatMap((tag) => {
    if (isReferrerTag(tag)) return [];
    // 3.19 for 3.19.1, or alpine for alpine3.19: more of the same counts as one change.
    const isPrefix = tag.startsWith(wanted) || wanted.startsWith(tag);
    const distance = isPrefix ? 1 : editDistance(wanted, tag);
    const most = Math.min(Math.max(2, Math.floor(wanted.length / 3)), wanted.length - 1);
    return isPrefix || distance <= most ? [{ tag, distance }] : [];
  });
  return near
    .sort((one, other) => one.distance - other.distance || one.tag.length - other.tag.length)
    .slice(0, count)
    .map(({ tag }) => tag);
}

/** Levenshtein's distance. */
export function editDistance(one: string, other: string): number {
  let previous = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let i = 1; i <= one.length; i++) {
    const current = [i];
    for (let j = 1; j <= other.length; j++) {
      const change = (previous[j - 1] ?? 0) + (one[i - 1] === other[j - 1] ? 0 : 1);
      current.push(Math.min(change, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[other.length] ?? 0;
}

function readPage(bytes: Uint8Array, registry: string, repository: string): string[] {
  let value: { tags?: unknown } | null;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes)) as { tags?: unknown } | null;
  } catch (cause) {
    throw new RegistryError("protocol", `${registry} lists its tags in no JSON`, { registry, repository, cause });
  }
  const tags = value?.tags ?? [];
  if (!Array.isArray(tags)) {
    throw new RegistryError("protocol", `${registry} lists its tags in no list`, { registry, repository });
  }
  // Of what else may stand there nothing could be pulled.
  return tags.filter((tag) => typeof tag === "string" && /^\w[\w.-]{0,127}$/.test(tag));
}
