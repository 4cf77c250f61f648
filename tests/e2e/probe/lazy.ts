export const lazy = "loaded from the binary";
