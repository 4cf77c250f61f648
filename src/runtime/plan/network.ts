import type { PlanBuilder } from "./builder.ts";

const group = "namespaces";

const addressFamilyInternet = 2;
const datagramSocket = 2;
const closeOnExec = 0o2000000;
const setInterfaceFlags = 0x8914;
const interfaceUp = 1;

/** `struct ifreq`: a name of 16 bytes, and what the request is about. netdevice(7) */
const requestSize = 40;
const nameSize = 16;

/**
 * Brings up the loopback of a network namespace that was just made: the kernel leaves it down, and programs expect
 * 127.0.0.1 to be there. netdevice(7), SIOCSIFFLAGS
 */
export function addLoopback(builder: PlanBuilder): void {
  const socket = builder.addFor("network socket", {
    label: "Open a socket to the network settings",
    group,
    syscall: "socket",
    args: [addressFamilyInternet, datagramSocket | closeOnExec, 0],
  });
  const request = Buffer.alloc(requestSize);
  request.write("lo", 0, "latin1");
  request.writeInt16LE(interfaceUp, nameSize);
  builder.add({
    label: "Bring up the loopback, 127.0.0.1",
    group,
    syscall: "ioctl",
    args: [socket, setInterfaceFlags, new Uint8Array(request)],
  });
}
