import { describe, expect, test } from "bun:test";
import { trustInFirewalld } from "../../../src/network/firewalld.ts";
import { type DbusAnswer, DbusServer } from "../../helpers/dbus-server.ts";

/** A bus on which firewalld runs, or does not, and answers so. */
function systemBus({ runs, answer = {} }: { readonly runs: boolean; readonly answer?: DbusAnswer }): DbusServer {
  return new DbusServer(({ member }) => {
    if (member === "Hello") return { signature: "s", body: [":1.7"] };
    if (member === "NameHasOwner") return { signature: "b", body: [runs] };
    return answer;
  });
}

describe("firewalld", () => {
  test("is told to trust a bridge", async () => {
    using bus = systemBus({ runs: true, answer: { signature: "s", body: ["trusted"] } });
    expect(await trustInFirewalld("gocker0", bus.path)).toBe(true);
    expect(bus.calls.at(-1)).toMatchObject({
      destination: "org.fedoraproject.FirewallD1",
      interface: "org.fedoraproject.FirewallD1.zone",
      member: "addInterface",
      body: ["trusted", "gocker0"],
    });
  });

  test("may have it there already", async () => {
    const answer = {
      errorName: "org.fedoraproject.FirewallD1.Exception",
      signature: "s",
      body: ["ZONE_ALREADY_SET: x"],
    };
    using bus = systemBus({ runs: true, answer });
    expect(await trustInFirewalld("gocker0", bus.path)).toBe(true);
  });

  test("is left alone where it does not run, or there is no bus", async () => {
    using bus = systemBus({ runs: false });
    expect(await trustInFirewalld("gocker0", bus.path)).toBe(false);
    expect(bus.calls.map(({ member }) => member)).toEqual(["Hello", "NameHasOwner"]);
    expect(await trustInFirewalld("gocker0", `${bus.path}-none`)).toBe(false);
  });

  test("that refuses is an error that says what to do", async () => {
    const answer = { errorName: "org.fedoraproject.FirewallD1.Exception", signature: "s", body: ["NOT_AUTHORIZED"] };
    using bus = systemBus({ runs: true, answer });
    await expect(trustInFirewalld("gocker0", bus.path)).rejects.toMatchObject({
      message: "firewalld does not let the bridge gocker0 be one of its zone trusted",
      hint: "do it by hand: firewall-cmd --zone=trusted --add-interface=gocker0",
    });
  });
});
