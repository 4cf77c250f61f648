/** How many times slower than usual this machine is: `GOCKER_TEST_SLOWNESS`, which scripts/test-vm.ts sets. */
const slowness = Number(process.env["GOCKER_TEST_SLOWNESS"] ?? "1");

/** Whether what is repeated to find what happens seldom is repeated less here. */
export const isSlow = slowness > 1;

/** How long to wait here for what takes no longer than this on a usual machine, in milliseconds. */
export function patience(milliseconds: number): number {
  return milliseconds * slowness;
}
