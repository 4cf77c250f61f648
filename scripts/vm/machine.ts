import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";

import { mustRun } from "../bench/command.ts";
import { cpioArchive } from "./cpio.ts";

/** What a machine boots from: a directory that scripts/vm/fetch.ts has made. */
export interface MachineOptions {
  readonly qemu: string;
  readonly boot: string;
  /** The directory of the host in which the command runs. */
  readonly directory: string;
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Have the host's systemd as the first process, which runs the command as a service. */
  readonly systemd: boolean;
  /** Milliseconds until it is switched off, whatever it does. */
  readonly limit: number;
  readonly signal: AbortSignal;
}

/** How a machine's life ended: with its command, or before. */
export type MachineEnd = { readonly exitCode: number } | { readonly problem: string };

/** Of the file system for temporary files; of the host's it takes what is written to it. */
const diskSize = "8G";

/**
 * A panic ends it. The console is the tests': nothing less than a critical condition is told there. Where this machine is
 * busy the timer's first ticks come late, and the kernel would take the timer for broken.
 */
const kernelWords = "console=ttyS0 loglevel=3 panic=-1 no_timer_check";

/** Where the guest finds the directory that it shares with the host. */
const exchangeInGuest = "/run/gocker-vm";

/**
 * A virtual machine of a Debian kernel, with cgroups of version 2 alone, which sees the host's files, runs one command
 * as root and is switched off. What it writes to files is lost, but for {@link outputPath}.
 */
export class Machine implements Disposable {
  readonly #options: MachineOptions;
  readonly #scratch = mkdtempSync(join(tmpdir(), "gocker-vm-"));

  constructor(options: MachineOptions) {
    this.#options = options;
  }

  /** Runs it, with its console on stdout. */
  async run(): Promise<MachineEnd> {
    const { qemu, limit, signal } = this.#options;
    const initramfs = join(this.#scratch, "initramfs");
    writeFileSync(initramfs, initramfsOf(this.#options.boot));
    const disk = join(this.#scratch, "disk");
    await mustRun("/sbin/mkfs.ext4", "-q", disk, diskSize);
    writeFileSync(this.#exchanged("repository"), this.#options.directory);
    writeFileSync(this.#exchanged("guest.sh"), guestScript(this.#options));
    if (this.#options.systemd) writeFileSync(this.#exchanged("systemd"), "");
    let isLate = false;
    // However this process ends, qemu ends with it.
    const child = Bun.spawn(["setpriv", "--pdeathsig", "KILL", qemu, ...this.#arguments(initramfs, disk)], {
      // Without a terminal of its own qemu leaves the one it is called from as it is.
      stdio: ["ignore", "inherit", "inherit"],
      signal,
      killSignal: "SIGKILL",
    });
    const timer = setTimeout(() => {
      isLate = true;
      child.kill("SIGKILL");
    }, limit);
    const status = await child.exited;
    clearTimeout(timer);
    if (isLate) return { problem: `it had not ended after ${limit / 60_000} minutes` };
    const answer = existsSync(this.#exchanged("exit-code")) ? readFileSync(this.#exchanged("exit-code"), "utf8") : "";
    if (/^\d+\n$/.test(answer)) return { exitCode: Number(answer) };
    return { problem: `it was switched off before the end of the tests (qemu: ${child.signalCode ?? status})` };
  }

  /** The host's path of a file that the command has written to {@link outputPath}. */
  output(name: string): string {
    return this.#exchanged(name);
  }

  [Symbol.dispose](): void {
    rmSync(this.#scratch, { recursive: true, force: true });
  }

  #exchanged(name: string): string {
    return join(this.#scratch, name);
  }

  #arguments(initramfs: string, disk: string): string[] {
    const processors = Math.min(availableParallelism(), 4);
    const share = (tag: string, path: string, flags = "") => [
      ["-fsdev", `local,id=${tag},path=${path},security_model=none,multidevs=remap${flags}`],
      ["-device", `virtio-9p-pci,fsdev=${tag},mount_tag=${tag}`],
    ];
    return [
      ["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio", "-nic", "none"],
      ["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", String(processors), "-m", "2G"],
      ["-kernel", join(this.#options.boot, "kernel"), "-initrd", initramfs],
      // Nobody reads it later: what the machine wants to have on the disk for sure need not get there.
      ["-drive", `file=${disk},format=raw,if=virtio,cache=unsafe`],
      ["-append", `${kernelWords} systemd.unit=gocker-vm.target systemd.show_status=no`],
      ...share("host", "/", ",readonly=on"),
      ...share("exchange", this.#scratch),
    ].flat();
  }
}

/** The path of a file for the command to write to, in the machine: {@link Machine.output}. */
export function outputPath(name: string): string {
  return `${exchangeInGuest}/${name}`;
}

function initramfsOf(boot: string): Uint8Array {
  const file = (path: string, source: string) => ({ path, mode: 0o100755, content: readFileSync(source) });
  const modules = readdirSync(join(boot, "modules")).toSorted();
  return cpioArchive([
    { path: "bin", mode: 0o040755 },
    file("bin/busybox", join(boot, "busybox")),
    file("init", join(import.meta.dir, "init.sh")),
    { path: "modules", mode: 0o040755 },
    ...modules.map((name) => file(`modules/${name}`, join(boot, "modules", name))),
  ]);
}

/** What the first process becomes, which must not end. The exit code is the host's before the power is off. */
function guestScript({ directory, command, environment }: MachineOptions): string {
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${quote(value)}`);
  return `
ip link set lo up
echo gocker-vm > /proc/sys/kernel/hostname
export ${variables.join(" ")}
cd ${quote(directory)}
${command.map(quote).join(" ")}
echo $? > ${exchangeInGuest}/exit-code
echo o > /proc/sysrq-trigger
while :; do :; done
`;
}

/** A word for a shell. */
function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
