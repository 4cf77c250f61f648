/** What tmpfs and the mount itself take as options. tmpfs(5), mount(8) */
const switches = new Set(
  (
    "async atime defaults dev diratime dirsync exec mand noatime nodev nodiratime noexec nomand norelatime nostrictatime " +
    "nosuid private rbind relatime remount ro rprivate rshared rslave runbindable rw shared slave strictatime suid sync " +
    "unbindable"
  ).split(" "),
);

/** The form of each option's value. */
const values: Readonly<Record<string, RegExp>> = {
  size: /^\d+[kKmMgG%]?$/,
  mode: /^[0-7]{1,4}$/,
  uid: /^\d+$/,
  gid: /^\d+$/,
  nr_inodes: /^\d+[kKmMgG]?$/,
  nr_blocks: /^\d+[kKmMgG]?$/,
  mpol: /./,
  huge: /^(?:never|always|within_size|advise)$/,
};

/** What is wrong with one option of `--tmpfs`, or undefined. */
export function tmpfsOptionFault(option: string): string | undefined {
  const equals = option.indexOf("=");
  if (equals < 0) return switches.has(option) ? undefined : `there is no option ${JSON.stringify(option)}`;
  const key = option.slice(0, equals);
  const form = Object.hasOwn(values, key) ? values[key] : undefined;
  if (form === undefined) return `there is no option ${JSON.stringify(key)}`;
  const value = option.slice(equals + 1);
  return form.test(value) ? undefined : `${JSON.stringify(value)} is no value for ${key}`;
}
