/**
 * A script that prints what a container is made of, seen from inside: {@link parseFacts} reads it. It needs no more
 * than busybox. Process 1 is the script's shell, whose signals change from moment to moment: a child tells its own.
 */
export const factsScript = `
section() { echo "# $1"; }
section status; cat /proc/self/status
section mount; cat /proc/1/mountinfo
section limit; cat /proc/1/limits
section environment; tr '\\0' '\\n' </proc/1/environ
section device; find /dev | sort | while read path; do stat -c '%n %F %a %u:%g %t:%T' "$path"; done
section link; for name in /dev/fd /dev/stdin /dev/stdout /dev/stderr /dev/ptmx /dev/core; do
  [ ! -L $name ] || echo "$name $(readlink $name)"; done
section descriptor; ls /proc/1/fd
section cgroup; cat /proc/1/cgroup
section setting; for name in net/ipv4/ping_group_range net/ipv4/ip_unprivileged_port_start net/ipv4/ip_forward \\
  kernel/hostname kernel/domainname kernel/shmmax; do echo "$name $(cat /proc/sys/$name)"; done
section mask; for path in /proc/acpi /proc/asound /proc/interrupts /proc/kcore /proc/keys /proc/latency_stats \\
  /proc/sched_debug /proc/scsi /proc/timer_list /proc/timer_stats /sys/firmware /sys/devices/virtual/powercap \\
  /sys/dev/block /proc/bus /proc/fs /proc/irq /proc/sys /proc/self /sys; do
  if [ -d $path ]; then [ -n "$(ls -A $path)" ] && echo "$path shown" || echo "$path empty"
  elif [ -e $path ]; then [ -n "$(head -c 1 $path 2>/dev/null | tr '\\0' 0)" ] && echo "$path shown" || echo "$path empty"
  else echo "$path none"; fi; done
section write; for path in /proc/sys/kernel/domainname /proc/sysrq-trigger /proc/irq/default_smp_affinity \\
  /sys/kernel/mm/transparent_hugepage/enabled /sys/fs/cgroup /proc/self/oom_score_adj / /tmp /etc/hosts /dev /dev/shm; do
  [ -e $path ] || continue
  if [ -d $path ]; then (mkdir $path/.try && rmdir $path/.try) 2>/dev/null && echo "$path yes" || echo "$path no"
  else (: >>$path) 2>/dev/null && echo "$path yes" || echo "$path no"; fi; done
section process; echo "umask $(umask)"; echo "directory $(pwd)"; echo "hostname $(hostname)"; echo "user $(id -u):$(id -g) $(id -G)"
  echo "oom $(cat /proc/1/oom_score_adj)"; echo "session $(ps -o pid,pgid,sid | awk '$1 == 1 { print $2, $3 }')"
section interface; ls /sys/class/net
section file; stat -c '%n %a %u:%g' / /proc /sys /dev /etc/hosts /etc/hostname
section namespace; for name in cgroup ipc mnt net pid uts user time; do echo "$name $(readlink /proc/1/ns/$name)"; done
`;

/** What is measured, numbered or counted differs from run to run; what it says of the container says another line. */
const ignoredStatus =
  /^(Vm|Rss|HugetlbPages|SigQ|FDSize|.*voluntary_ctxt_switches|State|PPid|Pid|Tgid|NS|Name|Threads|Cpus_|Mems_|x86_|THP_|Core)/;

/** Facts by their names, such as `status CapEff` and `mount /proc`; each value as text, for comparing. */
export type Facts = ReadonlyMap<string, string>;

export function parseFacts(text: string): Facts {
  const facts = new Map<string, string>();
  let section = "";
  for (const line of text.split("\n")) {
    if (line.startsWith("# ")) section = line.slice(2);
    else if (line !== "") addFact(facts, section, line);
  }
  return facts;
}

function addFact(facts: Map<string, string>, section: string, line: string): void {
  switch (section) {
    case "status": {
      const [name = "", value = ""] = line.split(/:\s*/, 2);
      if (!ignoredStatus.test(name)) facts.set(`status ${name}`, value.trim());
      return;
    }
    case "mount": {
      const [name, value] = mountFact(line);
      facts.set(name, value);
      return;
    }
    case "limit": {
      const match = /^(Max .*?)\s{2,}(\S+)\s+(\S+)/.exec(line);
      if (match !== null) facts.set(`limit ${match[1]}`, `${match[2]} ${match[3]}`);
      return;
    }
    case "environment": {
      const [name, value = ""] = line.split(/=(.*)/s, 2);
      facts.set(`environment ${name}`, value);
      return;
    }
    case "cgroup": {
      const [, controllers = "", path = ""] = line.split(":");
      // The container's own is named after it: what matters is that it is one of its own.
      facts.set(`cgroup ${controllers}`, /\/(libpod-)?[0-9a-f]{64}$/.test(path) ? "own" : path);
      return;
    }
    case "descriptor":
    case "interface":
      // 10 is the script itself, as the shell reads it.
      if (section === "descriptor" && line === "10") return;
      facts.set(`${section} ${line}`, "there");
      return;
    default: {
      const [name, value = ""] = line.split(/\s(.*)/s, 2);
      // A namespace's number says nothing; whether it is the host's is compared by who has the host's.
      facts.set(`${section} ${name}`, value);
    }
  }
}

/** A line of mountinfo without the numbers and paths of the host. proc_pid_mountinfo(5) */
function mountFact(line: string): [name: string, value: string] {
  const [before = "", after = ""] = line.split(" - ", 2);
  const [, , , , point = "", options = ""] = before.split(" ");
  const [type = "", , superOptions = ""] = after.split(" ");
  const sorted = (list: string) => list.split(",").toSorted().join(",");
  // What a bind or an overlay lies on is the store's affair.
  const isOfStore =
    type === "overlay" || !["proc", "tmpfs", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2"].includes(type);
  return [
    `mount ${point}`,
    `${isOfStore ? "" : `${type} `}${sorted(options)}${isOfStore ? "" : ` ${sorted(superOptions)}`}`,
  ];
}
