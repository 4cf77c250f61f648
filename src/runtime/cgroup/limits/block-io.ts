import { Group } from "./values.ts";

/** `linux.resources.blockIO`, checked. */
export interface BlockIoLimits {
  /** 10 to 1000, as the weights after it. */
  readonly weight: number | undefined;
  /** Against the cgroups below this one. */
  readonly leafWeight: number | undefined;
  readonly devices: readonly DeviceWeight[];
  readonly throttles: readonly Throttle[];
}

/** The weight on one device. */
export interface DeviceWeight {
  readonly path: string;
  /** `major:minor` */
  readonly device: string;
  readonly weight: number | undefined;
  readonly leafWeight: number | undefined;
}

/** The most bytes, or operations, each second on one device. */
export interface Throttle {
  readonly path: string;
  /** `major:minor` */
  readonly device: string;
  readonly kind: keyof typeof throttleFiles;
  /** 0 for no limit. */
  readonly rate: number;
}

/** What each list limits: its file in version 1, and its key in `io.max` of version 2. */
export const throttleFiles = {
  throttleReadBpsDevice: { v1: "blkio.throttle.read_bps_device", v2: "rbps" },
  throttleWriteBpsDevice: { v1: "blkio.throttle.write_bps_device", v2: "wbps" },
  throttleReadIOPSDevice: { v1: "blkio.throttle.read_iops_device", v2: "riops" },
  throttleWriteIOPSDevice: { v1: "blkio.throttle.write_iops_device", v2: "wiops" },
} as const;

const throttleNames = Object.keys(throttleFiles) as Throttle["kind"][];

/** @throws InvalidDocumentError a value is not of its type or range */
export function readBlockIo(value: unknown, notes: string[]): BlockIoLimits {
  const group = new Group(
    value,
    "linux.resources.blockIO",
    ["weight", "leafWeight", "weightDevice", ...throttleNames],
    notes,
  );
  return {
    weight: weight(group, "weight"),
    leafWeight: weight(group, "leafWeight"),
    devices: group.list("weightDevice", ["major", "minor", "weight", "leafWeight"], notes).map((entry) => ({
      path: entry.path,
      device: device(entry),
      weight: weight(entry, "weight"),
      leafWeight: weight(entry, "leafWeight"),
    })),
    throttles: throttleNames.flatMap((kind) =>
      group.list(kind, ["major", "minor", "rate"], notes).map((entry) => {
        const rate = entry.required("rate", entry.integer("rate", 0));
        return { path: entry.path, device: device(entry), kind, rate: rate === Number.POSITIVE_INFINITY ? 0 : rate };
      }),
    ),
  };
}

function weight(group: Group, name: string): number | undefined {
  return group.integer(name, 0) === 0 ? undefined : group.integer(name, 10, 1000);
}

function device(group: Group): string {
  const number = (name: string): number => group.required(name, group.integer(name, 0, 0xffff_ffff));
  return `${number("major")}:${number("minor")}`;
}
