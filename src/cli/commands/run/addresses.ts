/** Whether the text is an IPv4 address in four decimal numbers, or an IPv6 address without zone. */
export function isAddress(text: string): boolean {
  return isIpv4(text) || isIpv6(text);
}

/** No leading zeros: some readers take them for octal. */
function isIpv4(text: string): boolean {
  const parts = text.split(".");
  return parts.length === 4 && parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}

/** RFC 4291 section 2.2, read by the URL parser, which knows all its forms. `node:net` would cost two milliseconds. */
function isIpv6(text: string): boolean {
  return text.includes(":") && /^[0-9a-fA-F:.]+$/.test(text) && URL.canParse(`http://[${text}]/`);
}
