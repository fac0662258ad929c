#!/usr/bin/env python3
"""usage: tamper.py LAYOUT release N

Changes the signed release of the first signature in an OCI layout, with every digest on the way made right again.
"""
import base64
import hashlib
import json
import re
import sys


def put(layout, data):
    digest = hashlib.sha256(data).hexdigest()
    with open(f"{layout}/blobs/sha256/{digest}", "wb") as f:
        f.write(data)
    return {"digest": "sha256:" + digest, "size": len(data)}


def main(layout, what, value):
    with open(layout + "/index.json", "rb") as f:
        index = json.load(f)
    entry = next(e for e in index["manifests"] if e["annotations"]["org.opencontainers.image.ref.name"].endswith(".sig"))
    with open(f"{layout}/blobs/sha256/{entry['digest'][7:]}", "rb") as f:
        manifest = json.load(f)
    layer = manifest["layers"][0]
    payload = base64.b64decode(layer["data"]).decode()
    changed = re.sub(rf'("dev\.veneer\.{what}":")[^"]*', rf"\g<1>{value}", payload).encode()
    assert changed.decode() != payload
    layer.update(put(layout, changed), data=base64.b64encode(changed).decode())
    entry.update(put(layout, json.dumps(manifest).encode()))
    with open(layout + "/index.json", "w", encoding="utf-8") as f:
        json.dump(index, f)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
