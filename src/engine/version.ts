import { kernelRelease } from "../linux/kernel.ts";
import { hostPlatform } from "../oci/platform.ts";
import { version } from "../util/version.ts";

/** What this gocker is, for people who compare machines. */
export interface VersionInfo {
  readonly version: string;
  /** The runtime inside the binary. */
  readonly bun: string;
  readonly os: string;
  /** In the words of image platforms: `amd64`, `arm64`. */
  readonly architecture: string;
  /** The running kernel's release. */
  readonly kernel: string;
}

/** What this gocker is and what it runs on. */
export function versionInfo(): VersionInfo {
  const { os, architecture } = hostPlatform();
  return { version, bun: Bun.version, os, architecture, kernel: kernelRelease() };
}
