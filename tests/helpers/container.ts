import type { HostFacts } from "../../src/container/host-facts.ts";
import type { NewContainer } from "../../src/container/record.ts";
import type { RunOptions } from "../../src/engine/options.ts";
import type { ContainerSummary } from "../../src/engine/ps.ts";
import { capabilityMask, capabilityNames } from "../../src/linux/capabilities.ts";
import type { ImageConfig, ImageConfigExecution } from "../../src/oci/image-config.ts";

/** What `gocker run IMAGE` without any flag asks for. */
export function runOptions(change: Partial<RunOptions> = {}): RunOptions {
  return {
    image: "alpine",
    words: [],
    dockerWords: false,
    interactive: false,
    terminal: false,
    remove: false,
    init: false,
    detach: false,
    labels: {},
    pull: "missing",
    quiet: false,
    environment: [],
    environmentFiles: [],
    groupAdd: [],
    ulimits: [],
    mounts: [],
    readOnly: false,
    network: "none",
    addHosts: [],
    dns: [],
    capAdd: [],
    capDrop: [],
    privileged: false,
    noNewPrivileges: false,
    seccomp: "default",
    ...change,
  };
}

/** An image's configuration with these settings for its containers. */
export function imageConfig(config: ImageConfigExecution = {}): ImageConfig {
  return { architecture: "amd64", os: "linux", config, rootfs: { type: "layers", diff_ids: [] } };
}

/** A new kernel with cgroup v2 alone and all capabilities. */
export function hostFacts(change: Partial<HostFacts> = {}): HostFacts {
  return {
    architecture: "x86_64",
    kernel: { major: 6, minor: 18 },
    cgroupV2Only: true,
    thermalProcessors: 2,
    capabilities: capabilityMask(capabilityNames),
    openFiles: 4096,
    devices: [],
    ...change,
  };
}

/** What is told of a container that is about to be made. */
export function newContainer(change: Partial<NewContainer> = {}): NewContainer {
  return {
    image: { reference: "alpine:3.19", id: `sha256:${"0".repeat(64)}` },
    command: ["sh"],
    labels: {},
    mounts: [],
    layers: [],
    remove: false,
    terminal: false,
    ...change,
  };
}

/** What a list shows of a container that was just made. */
export function containerSummary(change: Partial<ContainerSummary> = {}): ContainerSummary {
  return {
    id: "0".repeat(64),
    name: "web",
    image: "alpine:3.19",
    imageId: `sha256:${"0".repeat(64)}`,
    layers: [],
    command: ["sh"],
    created: "2026-03-01T10:00:00.000Z",
    labels: {},
    mounts: [],
    exposedPorts: [],
    publications: [],
    networks: [],
    status: "created",
    state: { status: "created" },
    ...change,
  };
}
