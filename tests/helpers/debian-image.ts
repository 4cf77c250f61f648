import { tmpdir } from "node:os";
import { join } from "node:path";

import { aptMirror } from "../../scripts/bench/apt-mirror.ts";
import { mustRun } from "../../scripts/bench/command.ts";
import { provideImage } from "../../scripts/bench/images.ts";
import type { TestRegistry } from "./registry.ts";

/** Kept between test runs: to make the image takes a minute and the network. */
const cache = join(tmpdir(), "gocker-test-cache");

/** Servers of three makes: one of a single process, one of a master and workers, one of many that share memory. */
const servers = "--include=postgresql-15,redis-server,nginx-light";

const recipe = {
  // What is in it is part of its name, which is that of what the cache keeps.
  repository: "library/debian-servers",
  make: async (root: string) => {
    await mustRun("debootstrap", "--variant=minbase", servers, "bookworm", root, aptMirror());
    await mustRun("sh", "-c", 'rm -f "$0"/var/cache/apt/archives/*.deb', root);
  },
  // Half a minute of a processor less than gzip takes; other tests unpack layers of gzip.
  compression: "zstd" as const,
};

/**
 * Puts Debian with PostgreSQL, Redis and nginx into a registry, as `library/debian-servers:1`.
 * @returns false when that cannot be done here, after saying why: debootstrap reaches no mirror
 */
export async function pushDebian(registry: TestRegistry): Promise<boolean> {
  if (Bun.which("debootstrap") === null) return skip("debootstrap is not installed");
  try {
    await provideImage(recipe, cache, registry);
    return true;
  } catch (error) {
    return skip(error instanceof Error ? error.message : String(error));
  }
}

function skip(reason: string): false {
  console.warn(`tests with Debian are skipped: ${reason}`);
  return false;
}
