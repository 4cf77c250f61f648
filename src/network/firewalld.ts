import { existsSync } from "node:fs";
import { DbusConnection, DbusError } from "../linux/dbus/connection.ts";
import { GockerError } from "../util/errors.ts";

const systemBus = "/run/dbus/system_bus_socket";
const firewalld = "org.fedoraproject.FirewallD1";
const bus = { destination: "org.freedesktop.DBus", path: "/org/freedesktop/DBus", interface: "org.freedesktop.DBus" };

/** Milliseconds that firewalld may take: a container waits for it. */
const patience = 5_000;

/** What firewalld says when a device is in the zone already. */
const settled = ["ZONE_ALREADY_SET", "ALREADY_ENABLED"];

/**
 * Where firewalld runs, lets a bridge be one of its zone `trusted`, as Docker and podman do: it forwards nothing for devices
 * that it has no zone for. gocker's own rules still hold.
 * @param path the system's bus
 * @returns false where firewalld does not run
 * @throws GockerError it runs, and does not do it
 */
export async function trustInFirewalld(device: string, path = systemBus): Promise<boolean> {
  if (!existsSync(path)) return false;
  using connection = await DbusConnection.connect(path, () => {}, patience);
  await connection.call({ ...bus, member: "Hello" });
  const [runs] = await connection.call({ ...bus, member: "NameHasOwner", signature: "s", body: [firewalld] });
  if (runs !== true) return false;
  try {
    await connection.call({
      destination: firewalld,
      path: "/org/fedoraproject/FirewallD1",
      interface: `${firewalld}.zone`,
      member: "addInterface",
      signature: "ss",
      body: ["trusted", device],
    });
  } catch (error) {
    if (!(error instanceof DbusError) || !settled.some((word) => error.message.includes(word))) {
      throw new GockerError("FIREWALLD", `firewalld does not let the bridge ${device} be one of its zone trusted`, {
        hint: `do it by hand: firewall-cmd --zone=trusted --add-interface=${device}`,
        cause: error,
      });
    }
  }
  return true;
}
