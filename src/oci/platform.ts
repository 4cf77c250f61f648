/** For which system an image was made. OCI image specification, image-index.md, "platform". */
export interface Platform {
  os: string;
  architecture: string;
  variant?: string;
  "os.version"?: string;
  "os.features"?: string[];
}
