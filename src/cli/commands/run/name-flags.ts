import { UsageError } from "../../../util/errors.ts";

/** A name of resolv.conf(5)'s search list: labels of letters, digits and -, that dots separate; `.` for none. */
const domain = /^(?:\.|_?[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\._?[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*\.?)$/i;

/**
 * A value of `--dns-search`.
 * @throws {UsageError}
 */
export function checkSearchDomain(text: string): string {
  if (domain.test(text) && text.length <= 255) return text;
  throw new UsageError(`invalid --dns-search ${JSON.stringify(text)}: it is not a domain`, {
    hint: "--dns-search . is for none at all",
  });
}

/**
 * A value of `--dns-option`: one word of resolv.conf(5), such as `ndots:2`.
 * @throws {UsageError}
 */
export function checkResolverOption(text: string): string {
  if (/^[^\s\0]+$/.test(text)) return text;
  throw new UsageError(`invalid --dns-option ${JSON.stringify(text)}: it is not one word`, {
    hint: "it looks like ndots:2; several are given by several flags",
  });
}

/**
 * The values of `--expose`, each a port or a range of ports, as `80/tcp`.
 * @throws {UsageError}
 */
export function parseExposed(texts: readonly string[]): string[] {
  const ports = texts.flatMap((text) => {
    const match = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/i.exec(text);
    const first = Number(match?.[1]);
    const last = Number(match?.[2] ?? match?.[1]);
    if (match === null || last > 65_535 || first > last) {
      throw new UsageError(`invalid --expose ${JSON.stringify(text)}: it is no port and no range of ports`, {
        hint: "it looks like 80, 53/udp or 8000-8010",
      });
    }
    const protocol = (match[3] ?? "tcp").toLowerCase();
    return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${protocol}`);
  });
  return [...new Set(ports)];
}
