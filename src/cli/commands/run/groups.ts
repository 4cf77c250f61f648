/** The headings under which the help lists the flags of `run`. */
export const groups = {
  container: "Container",
  image: "Image",
  process: "Process",
  files: "Files",
  devices: "Devices and the kernel",
  network: "Network",
  namespaces: "Namespaces",
  security: "Security",
  health: "Health",
  learning: "Learning",
} as const;
