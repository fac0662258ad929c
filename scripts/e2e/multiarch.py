#!/usr/bin/env python3
"""multiarch.py LAYOUT TAG ARCH=SRC_TAG...: an index TAG in the OCI layout LAYOUT.

Each entry is the image SRC_TAG of the same layout with its configuration's architecture set to ARCH.
"""
import hashlib
import json
import os
import sys

layout, tag = sys.argv[1], sys.argv[2]
NAME = "org.opencontainers.image.ref.name"


def read(digest):
    with open(os.path.join(layout, "blobs", *digest.split(":")), "rb") as f:
        return json.load(f)


def write(value):
    data = json.dumps(value, separators=(",", ":")).encode()
    digest = hashlib.sha256(data).hexdigest()
    with open(os.path.join(layout, "blobs", "sha256", digest), "wb") as f:
        f.write(data)
    return {"digest": "sha256:" + digest, "size": len(data)}


with open(os.path.join(layout, "index.json")) as f:
    top = json.load(f)
tags = {m.get("annotations", {}).get(NAME): m for m in top["manifests"]}
entries = []
for pair in sys.argv[3:]:
    arch, source = pair.split("=")
    manifest = read(tags[source]["digest"])
    config = read(manifest["config"]["digest"])
    config["architecture"] = arch
    manifest["config"].update(write(config))
    entry = {"mediaType": "application/vnd.oci.image.manifest.v1+json", **write(manifest)}
    entry["platform"] = {"os": "linux", "architecture": arch}
    entries.append(entry)
MEDIA = "application/vnd.oci.image.index.v1+json"
index = {"mediaType": MEDIA, **write({"schemaVersion": 2, "mediaType": MEDIA, "manifests": entries})}
index["annotations"] = {NAME: tag}
top["manifests"] = [m for m in top["manifests"] if m.get("annotations", {}).get(NAME) != tag] + [index]
with open(os.path.join(layout, "index.json"), "w") as f:
    json.dump(top, f)
