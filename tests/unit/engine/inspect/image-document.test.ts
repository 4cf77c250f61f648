import { expect, test } from "bun:test";
import { imageDocument } from "../../../../src/engine/inspect/image-document.ts";
import { volumeDocument } from "../../../../src/engine/inspect/volume-document.ts";
import type { StoredImage } from "../../../../src/image/stored-image.ts";
import type { Digest } from "../../../../src/oci/digest.ts";

const digest = (character: string): Digest => `sha256:${character.repeat(64)}`;

const image = {
  id: digest("1"),
  references: ["docker.io/library/alpine:3.19", "quay.io/x/y:1"],
  repositoryDigests: [`docker.io/library/alpine@${digest("2")}`],
  layerDirectories: ["/l/1", "/l/2", "/l/3"],
  size: 1000,
  config: {
    architecture: "arm64",
    variant: "v8",
    os: "linux",
    created: "2024-01-01T00:00:00Z",
    author: "me",
    config: { Cmd: ["sh"], Env: ["A=1"], Labels: { b: "2", a: "1" }, ExposedPorts: { "80/tcp": {} } },
    rootfs: { type: "layers", diff_ids: [digest("3"), digest("4"), digest("5")] },
    history: [{ created_by: "x", comment: "first" }, { comment: "last" }],
  },
} as unknown as StoredImage;

const json = (value: unknown) => JSON.parse(JSON.stringify(value)) as unknown;

test("an image", () => {
  expect(json(imageDocument(image))).toMatchObject({
    Id: digest("1"),
    RepoTags: ["alpine:3.19", "quay.io/x/y:1"],
    RepoDigests: [`alpine@${digest("2")}`],
    Parent: "",
    Comment: "last",
    Created: "2024-01-01T00:00:00Z",
    Author: "me",
    Config: { Cmd: ["sh"], Env: ["A=1"], Labels: { a: "1", b: "2" }, ExposedPorts: { "80/tcp": {} } },
    Architecture: "arm64",
    Variant: "v8",
    Os: "linux",
    Size: 1000,
    GraphDriver: { Name: "overlay", Data: { LowerDir: "/l/2:/l/1", UpperDir: "/l/3" } },
    RootFS: { Type: "layers", Layers: [digest("3"), digest("4"), digest("5")] },
    Metadata: { LastTagTime: "0001-01-01T00:00:00Z" },
  });
});

test("an image that says nothing of itself", () => {
  const bare = {
    ...image,
    references: [],
    repositoryDigests: [],
    layerDirectories: [],
    config: { architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [] } },
  } as unknown as StoredImage;
  const document = json(imageDocument(bare));
  expect(document).toMatchObject({
    RepoTags: [],
    RepoDigests: [],
    Config: {},
    RootFS: { Type: "layers" },
  });
  expect(Object.keys((document as { Config: object }).Config)).toEqual([]);
  for (const absent of ["Created", "Variant", "OsVersion"]) expect(document).not.toHaveProperty(absent);
});

test("a volume that was made with options and without labels", () => {
  const record = {
    version: 1,
    name: "data",
    anonymous: false,
    created: "2024-01-01T00:00:00.123Z",
    labels: {},
    options: { type: "none", device: "/srv", o: "bind" },
  } as const;
  expect(json(volumeDocument(record, "/v/data/_data"))).toMatchObject({
    CreatedAt: "2024-01-01T00:00:00Z",
    Labels: null,
    Options: { type: "none", device: "/srv", o: "bind" },
  });
});

test("a volume", () => {
  const record = {
    version: 1,
    name: "data",
    anonymous: true,
    created: "2024-01-01T00:00:00Z",
    labels: { k: "v" },
  } as const;
  expect(json(volumeDocument(record, "/v/data/_data"))).toEqual({
    CreatedAt: "2024-01-01T00:00:00Z",
    Driver: "local",
    Labels: { "com.docker.volume.anonymous": "", k: "v" },
    Mountpoint: "/v/data/_data",
    Name: "data",
    Options: null,
    Scope: "local",
  });
});
