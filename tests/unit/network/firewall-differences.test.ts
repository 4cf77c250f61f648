import { expect, test } from "bun:test";
import type { FirewallNetwork, FirewallState } from "../../../src/network/firewall.ts";
import { firewallDifferences } from "../../../src/network/firewall-differences.ts";
import type { Publication } from "../../../src/network/publication.ts";

const blue: FirewallNetwork = {
  bridge: "gocker1",
  subnets: ["10.9.0.0/24", "fd00::/64"],
  isInternal: false,
  masquerades: true,
};
const web: Publication = {
  protocol: "tcp",
  hostAddress: "::",
  hostPort: 8080,
  containerAddress: "fd00::2",
  containerPort: 80,
};
const state: FirewallState = { networks: [blue], publications: [web], confinesForwarding: [4, 6] };

test("a firewall that is as it should be differs in nothing, in whatever order it tells of itself", () => {
  expect(firewallDifferences(state, state)).toEqual([]);
  const other: FirewallState = {
    networks: [{ ...blue, subnets: blue.subnets.toReversed() }],
    publications: [web],
    confinesForwarding: [6, 4],
  };
  expect(firewallDifferences(other, state)).toEqual([]);
});

test("of a port that gocker itself passes on are told as such", () => {
  const passedOn = { ...state, publications: [{ ...web, containerAddress: "", containerPort: 0 }] };
  expect(firewallDifferences({ ...state, publications: [] }, passedOn)).toEqual([
    "port [::]:8080/tcp did not lead to gocker itself",
  ]);
});

test.each<[string[], Partial<FirewallState> | undefined]>([
  [["the table inet gocker of the firewall was not there, or was changed"], undefined],
  [["the firewall did not know the network of gocker1"], { networks: [] }],
  [["the firewall did not know the network of gocker1"], { networks: [{ ...blue, isInternal: true }] }],
  [["the firewall did not know the network of gocker1"], { networks: [{ ...blue, masquerades: false }] }],
  [["the firewall did not know the network of gocker1"], { networks: [{ ...blue, subnets: ["10.9.0.0/24"] }] }],
  [
    ["the firewall knew a network of gocker2, which is not there"],
    { networks: [blue, { ...blue, bridge: "gocker2", subnets: [] }] },
  ],
  [["port [::]:8080/tcp did not lead to [fd00::2]:80"], { publications: [] }],
  [["port [::]:8080/tcp did not lead to [fd00::2]:80"], { publications: [{ ...web, containerAddress: "fd00::3" }] }],
  [
    ["port 127.0.0.1:53/udp led to 10.9.0.2:53, where nothing is"],
    {
      publications: [
        web,
        { protocol: "udp", hostAddress: "127.0.0.1", hostPort: 53, containerAddress: "10.9.0.2", containerPort: 53 },
      ],
    },
  ],
  [["the firewall forwarded other traffic than it should"], { confinesForwarding: [4] }],
])("%j", (expected, change) => {
  expect(firewallDifferences(change && { ...state, ...change }, state)).toEqual(expected);
});
