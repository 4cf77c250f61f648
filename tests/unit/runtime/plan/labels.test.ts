import { describe, expect, test } from "bun:test";
import { showCall } from "../../../../src/cli/explain/arguments.ts";
import { AT_FDCWD } from "../../../../src/linux/constants.ts";
import { errnos } from "../../../../src/linux/errno.ts";
import { slot, type Step } from "../../../../src/linux/launch/plan.ts";
import { lsmSupport } from "../../../../src/linux/lsm.ts";
import { PlanBuilder } from "../../../../src/runtime/plan/builder.ts";
import { addExecLabel, addKeyringLabel, openHostProc } from "../../../../src/runtime/plan/labels.ts";
import { runPlan } from "../../../helpers/launched-plan.ts";

const both = { apparmor: true, selinux: true };
const none = { apparmor: false, selinux: false };

function stepsOf(add: (builder: PlanBuilder) => void): readonly Step[] {
  const builder = new PlanBuilder();
  add(builder);
  return builder.steps;
}

function labelled(process: { apparmorProfile?: string; selinuxLabel?: string }, lsm = both): string[] {
  return stepsOf((builder) => addExecLabel(builder, { process, proc: slot("proc"), lsm })).map(showCall);
}

const how = "{flags=O_WRONLY|O_CLOEXEC, resolve=RESOLVE_IN_ROOT|RESOLVE_NO_MAGICLINKS|RESOLVE_NO_XDEV}, 24";

describe("labels for the program", () => {
  test("an AppArmor profile goes where the kernel has a place for it", () => {
    const steps = stepsOf((builder) =>
      addExecLabel(builder, { process: { apparmorProfile: "docker-default" }, proc: slot("proc"), lsm: both }),
    );
    expect(steps.map(showCall)).toEqual([
      `openat2(‹proc›, "thread-self/attr/apparmor/exec", ${how}) → label`,
      `openat2(‹proc›, "thread-self/attr/exec", ${how}) → label`,
      'write(‹label›, "exec docker-default", 19)',
      "close(‹label›)",
    ]);
    expect(steps[0]).toMatchObject({ onError: { tolerate: ["ENOENT"] }, onSuccess: { skip: 1 } });
    expect(steps[0]?.result).toBe(steps[1]?.result as never);
  });

  test("an SELinux label is written as it is", () => {
    expect(labelled({ selinuxLabel: "system_u:system_r:container_t:s0" })).toEqual([
      `openat2(‹proc›, "thread-self/attr/exec", ${how}) → label`,
      'write(‹label›, "system_u:system_r:container_t:s0", 32)',
      "close(‹label›)",
    ]);
  });

  test("none is none, also on a host without the modules", () => {
    expect(labelled({}, none)).toEqual([]);
    expect(labelled({ apparmorProfile: "", selinuxLabel: "" }, none)).toEqual([]);
  });

  test("one that nothing would put in force is refused", () => {
    expect(() => labelled({ apparmorProfile: "p" }, { apparmor: false, selinux: true })).toThrow(
      "process.apparmorProfile: AppArmor is not in force on this host",
    );
    expect(() => labelled({ selinuxLabel: "l" }, { apparmor: true, selinux: false })).toThrow(
      "process.selinuxLabel: SELinux is not in force on this host",
    );
  });
});

test("a keyring's label is set and cleared", () => {
  const steps = (label: string) =>
    stepsOf((builder) => addKeyringLabel(builder, label, slot("proc"), both)).map(showCall);
  expect(steps("a:b")).toEqual([
    `openat2(‹proc›, "thread-self/attr/keycreate", ${how}) → label`,
    'write(‹label›, "a:b", 3)',
    "close(‹label›)",
  ]);
  expect(steps("")[1]).toBe('write(‹label›, "\\n", 1)');
  expect(() => stepsOf((builder) => addKeyringLabel(builder, "", slot("proc"), none))).toThrow("process.selinuxLabel");
});

describe("on this host", () => {
  const { apparmor, selinux } = lsmSupport();

  test("the modules that are in force are told", async () => {
    const parameter = Bun.file("/sys/module/apparmor/parameters/enabled");
    expect(apparmor).toBe((await parameter.exists()) && (await parameter.text()) === "Y\n");
    const fileSystems = await Bun.file("/proc/filesystems").text();
    expect(selinux).toBe(fileSystems.includes("selinuxfs"));
  });

  /** What a plan says that tries to label itself by a directory. */
  async function failureBy(open: (builder: PlanBuilder) => ReturnType<typeof openHostProc>) {
    const { outcome } = await runPlan({
      steps: stepsOf((builder) => {
        const proc = open(builder);
        addExecLabel(builder, { process: { selinuxLabel: "no_u:no_r:no_t:s0" }, proc, lsm: both });
      }),
    });
    return outcome.fatal;
  }

  test.skipIf(apparmor || selinux)("the kernel takes the place, and refuses labels without a module", async () => {
    const failure = await failureBy(openHostProc);
    expect(failure?.step.syscall).toBe("write");
    expect(failure?.errno).toBe(errnos.EINVAL);
  });

  test("a directory that is no procfs has no place for labels", async () => {
    const failure = await failureBy((builder) =>
      builder.addFor("no proc", {
        label: "open",
        group: "security",
        syscall: "openat",
        args: [AT_FDCWD, "/tmp", 0o10000000],
      }),
    );
    expect(failure?.step.syscall).toBe("openat2");
    expect(failure?.errno).toBe(errnos.ENOENT);
  });
});
