import { mkdir } from "node:fs/promises";
import { join } from "node:path";

/** A certificate authority of the test's own and one server certificate, as files. */
export interface Certificates {
  /** PEM: what a client must trust. */
  readonly authority: string;
  /** A directory with the authority's `ca.crt` alone, of the form of /etc/docker/certs.d/HOST. */
  readonly trust: string;
  readonly certificate: string;
  readonly key: string;
}

/**
 * Makes a certificate authority and a certificate for `localhost`, 127.0.0.1 and ::1 in `directory`. Elliptic keys:
 * RSA ones take a second to find. RSA is for signers of RS256 only.
 */
export async function makeCertificates(directory: string, kind: "ec" | "rsa" = "ec"): Promise<Certificates> {
  const file = (name: string) => join(directory, name);
  const trust = file("trust");
  await mkdir(trust);
  const elliptic = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const leaf = kind === "ec" ? elliptic : ["-newkey", "rsa:2048", "-nodes"];
  // openssl's own configuration makes it an authority.
  const authority = ["-x509", ...elliptic, "-days", "2", "-subj", "/CN=gocker test authority"];
  await openssl("req", ...authority, "-keyout", file("authority.key"), "-out", join(trust, "ca.crt"));
  await openssl("req", ...leaf, "-subj", "/CN=localhost", "-keyout", file("server.key"), "-out", file("csr"));
  await Bun.write(file("extensions"), "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\nbasicConstraints=CA:FALSE\n");
  const signer = ["-CA", join(trust, "ca.crt"), "-CAkey", file("authority.key"), "-CAcreateserial"];
  const output = ["-days", "2", "-extfile", file("extensions"), "-out", file("server.crt")];
  await openssl("x509", "-req", "-in", file("csr"), ...signer, ...output);
  return {
    authority: join(trust, "ca.crt"),
    trust,
    certificate: file("server.crt"),
    key: file("server.key"),
  };
}

async function openssl(...args: string[]): Promise<void> {
  const child = Bun.spawn(["openssl", ...args], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const [problem, status] = await Promise.all([child.stderr.text(), child.exited]);
  if (status !== 0) throw new Error(`openssl ${args[0]}: ${problem}`);
}
