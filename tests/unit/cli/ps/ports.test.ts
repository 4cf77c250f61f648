import { expect, test } from "bun:test";
import { portsText } from "../../../../src/cli/commands/ps/ports.ts";
import type { Publication } from "../../../../src/network/publication.ts";
import { containerSummary } from "../../../helpers/container.ts";

/** `8080:80`, `127.0.0.1:53:53/udp`, `[::]:8080:80`: as the host reaches it, and as the container knows it. */
function publication(text: string): Publication {
  const [, address, host, container, protocol = "tcp"] = /^(?:(.+):)?(\d+):(\d+)(?:\/(.+))?$/.exec(text) ?? [];
  return {
    protocol: protocol as Publication["protocol"],
    hostAddress: (address ?? "0.0.0.0").replace(/^\[(.*)\]$/, "$1"),
    hostPort: Number(host),
    containerAddress: "10.9.0.2",
    containerPort: Number(container),
  };
}

const text = (published: string[], exposedPorts: string[] = [], { isRunning = true, networks = ["bridge"] } = {}) =>
  portsText(
    containerSummary({
      exposedPorts,
      networks,
      publications: published.map(publication),
      state: isRunning ? { status: "running", pid: 1, startedAt: "" } : { status: "exited" },
    }),
  );

test.each<[string, string[], string[]]>([
  ["", [], []],
  ["0.0.0.0:8080->80/tcp", ["8080:80"], []],
  ["0.0.0.0:8080->80/tcp, [::]:8080->80/tcp", ["[::]:8080:80", "8080:80"], []],
  ["0.0.0.0:8080->80/tcp, 443/tcp", ["8080:80"], ["80/tcp", "443/tcp"]],
  ["80/tcp, 53/udp", [], ["53/udp", "80"]],
  ["0.0.0.0:8000-8002->8000-8002/tcp", ["8001:8001", "8000:8000", "8002:8002"], []],
  ["0.0.0.0:9000->80/tcp, 0.0.0.0:9001->81/tcp", ["9000:80", "9001:81"], []],
  ["0.0.0.0:9001->80/tcp, 0.0.0.0:9000->81/tcp", ["9001:80", "9000:81"], []],
  ["80-82/tcp, 84/tcp", [], ["80", "81", "84", "82"]],
  ["127.0.0.1:53->53/udp, 53/tcp", ["127.0.0.1:53:53/udp"], ["53/tcp"]],
  ["0.0.0.0:80->80/tcp, 127.0.0.1:81->81/tcp", ["127.0.0.1:81:81", "80:80"], []],
])("%s", (expected, published, exposed) => {
  expect(text(published, exposed)).toBe(expected);
});

test.each(["host", "none"])("a container with --network %s has none of its own", (network) => {
  expect(text([], ["443/tcp"], { networks: [network] })).toBe("");
});

test("a container that does not run has none", () => {
  expect(text(["8080:80"], ["443/tcp"], { isRunning: false })).toBe("");
});
