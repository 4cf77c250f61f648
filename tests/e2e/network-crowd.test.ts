import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { canConnect, NetworkLab } from "../helpers/network-lab.ts";
import { patience } from "../helpers/patience.ts";

describe.skipIf(!canConnect)("many containers of one network", () => {
  let lab: NetworkLab;
  beforeAll(async () => {
    lab = await NetworkLab.create();
  });
  afterAll(() => lab?.end());

  test(
    "started in parallel have addresses of their own, and give all of them back",
    async () => {
      await lab.must("network", "create", "crowd");
      const names = Array.from({ length: 64 }, (_, index) => `c${index}`);
      const starts = names.map((name) =>
        lab.must("run", "-d", "--name", name, "--network", "crowd", lab.image, "sleep", "1000"),
      );
      await Promise.all(starts);
      const summary = JSON.parse(await lab.must("network", "inspect", "crowd")) as [
        { readonly Containers: Record<string, { readonly IPv4Address: string; readonly MacAddress: string }> },
      ];
      const members = Object.values(summary[0].Containers);
      expect(new Set(members.map(({ IPv4Address }) => IPv4Address)).size).toBe(64);
      expect(new Set(members.map(({ MacAddress }) => MacAddress)).size).toBe(64);
      const first = await lab.running("c0");
      const last = await lab.running("c63");
      expect(await first.peer.resolve("c63")).toBe(last.address);
      await last.peer.listen("udp", 80, "last");
      expect(await first.peer.ask("udp", last.address, 80)).toBe(`last ${first.address}`);
      await lab.clear();
      expect(lab.leases()).toEqual([]);
    },
    patience(60_000),
  );
});
