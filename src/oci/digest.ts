/** `sha256:` and 64 lower-case hexadecimal digits. OCI image specification, descriptor.md, "Digests". */
export type Digest = `sha256:${string}`;
