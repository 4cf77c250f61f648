/** What gocker may do on the host, and so the process of a plan before it enters a user namespace. */
export interface HostRights {
  /** It is root, if only of a user namespace of its own. */
  readonly isRoot: boolean;
  /** It can make device nodes, and change the attributes of the host's: nobody can in a user namespace. */
  readonly makesDevices: boolean;
}

/** Of the host's root. */
export const rightsOfRoot: HostRights = { isRoot: true, makesDevices: true };
