const hexadecimal = /^[0-9a-f]{64}$/;

/**
 * A new container ID: 64 hexadecimal digits. Never one that begins with twelve decimal digits: the short form is the
 * container's host name, and many programs take a host name of digits for a number.
 */
export function newContainerId(): string {
  for (;;) {
    const id = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex");
    if (!/^\d{12}/.test(id)) return id;
  }
}

/** The first twelve digits, which people see. */
export function shortId(id: string): string {
  return id.slice(0, 12);
}

/** Whether the text is a whole container ID. */
export function isContainerId(text: string): boolean {
  return hexadecimal.test(text);
}
