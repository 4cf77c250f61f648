import { join } from "node:path";

import type { Contender, Prepare } from "./alternate.ts";
import type { BenchImage } from "./images.ts";
import { gockerWords, podmanWords, type Setting } from "./setting.ts";

/** Everybody unpacks below this directory, on which each run gets an empty file system. */
function mountPointOf(setting: Setting): string {
  return join(setting.directory, "cold");
}

/** Fetching an image from a registry of this machine and unpacking it, with nothing there yet. */
export function coldContenders(setting: Setting, image: BenchImage): Contender[] {
  const { host, peers, registry } = setting;
  const store = mountPointOf(setting);
  const reference = `${registry.address}/${image.name}`;
  const blob = `${registry.url}/v2/${image.repository}/blobs/${image.layerDigest}`;
  const skopeo = `skopeo --insecure-policy copy -q --src-tls-verify=false docker://${reference} oci:${store}/oci:it`;
  return [
    { name: "gocker pull", runner: host, words: [...gockerWords(setting, store), "pull", "-q", reference] },
    {
      name: "podman pull",
      runner: peers,
      words: [...podmanWords(store), "pull", "-q", "--tls-verify=false", reference],
    },
    {
      name: "skopeo copy && umoci unpack",
      runner: peers,
      words: ["sh", "-c", `${skopeo} && exec umoci unpack --image ${store}/oci:it ${store}/bundle`],
    },
    {
      name: "curl | zcat | tar x",
      runner: host,
      words: ["sh", "-c", `mkdir ${store}/root && curl -s ${blob} | zcat | tar -C ${store}/root --numeric-owner -xf -`],
    },
  ];
}

/** A fresh file system for each run, and a look whether the image really lies on it after. */
export function onFreshFileSystem(setting: Setting, image: BenchImage): Prepare {
  const file = join(setting.directory, "file-system");
  return ({ runner }) => runner.freshFileSystem(file, mountPointOf(setting), Math.floor(image.files * 0.98));
}
