import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { canConnect, type LabContainer, NetworkLab } from "../helpers/network-lab.ts";

/** What a monitor that is at work may have in memory, in kB. */
const most = 120_000;

describe.skipIf(!canConnect)("a container's monitor", () => {
  let lab: NetworkLab;
  beforeAll(async () => {
    lab = await NetworkLab.create();
    await lab.must("network", "create", "blue");
  });
  afterEach(async () => {
    await lab.remove("web");
  });
  afterAll(() => lab?.end());

  async function web(): Promise<LabContainer> {
    const made = await lab.container("web", "--network", "blue", "-p", "8080:80", "-p", "8080:80/udp");
    for (const protocol of ["tcp", "udp"] as const) await made.peer.listen(protocol, 80, "web");
    return made;
  }

  function memoryOf(container: LabContainer): number {
    const status = readFileSync(`/proc/${lab.monitorOf(container)}/status`, "utf8");
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]);
  }

  test("withstands what is no query, a hundred thousand times, and answers afterwards", async () => {
    const made = await web();
    const floods = Array.from({ length: 4 }, () => made.peer.flood("udp", "127.0.0.11", 53, 25_000));
    expect((await Promise.all(floods)).every((count) => count > 0)).toBe(true);
    expect(await made.peer.flood("break", "127.0.0.11", 53, 500)).toBeGreaterThan(0);
    expect(await made.peer.resolve("web")).toBe(made.address);
    expect(await made.peer.resolve("web", "A", { protocol: "tcp" })).toBe(made.address);
    expect(memoryOf(made)).toBeLessThan(most);
  });

  test("withstands ten thousand connections to a published port, by the firewall and by itself", async () => {
    const made = await web();
    const outside = Array.from({ length: 3 }, () => lab.atOutside.flood("ask", "192.0.2.1", 8080, 2_000));
    expect(await Promise.all(outside)).toEqual([2_000, 2_000, 2_000]);
    const within = Array.from({ length: 3 }, () => lab.atHost.flood("ask", "::1", 8080, 1_000));
    expect(await Promise.all(within)).toEqual([1_000, 1_000, 1_000]);
    expect(await lab.atHost.flood("break", "::1", 8080, 300)).toBe(300);
    expect(await lab.atOutside.flood("udp", "192.0.2.1", 8080, 20_000)).toBeGreaterThan(0);
    expect(await lab.atOutside.ask("tcp", "192.0.2.1", 8080)).toBe("web 192.0.2.2");
    expect(await lab.atHost.ask("tcp", "::1", 8080)).toStartWith("web ");
    expect(await lab.atHost.ask("udp", "::1", 8080)).toStartWith("web ");
    expect(await made.peer.resolve("web")).toBe(made.address);
    expect(memoryOf(made)).toBeLessThan(most);
  });
});
