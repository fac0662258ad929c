#!/usr/bin/env python3
"""look.py STATUS OLD NEW [LAYOUT NAME]: the active release that the JSON of "veneer-pull status" tells, and on a second line what
is wrong: it is neither OLD nor NEW; or in an OCI layout NAME (or its tag) is neither of them, or of any entry a blob is missing or
not what its digest says."""
import hashlib
import json
import os
import sys

REF = "org.opencontainers.image.ref.name"
status, old, new, *layout = sys.argv[1:]


class Wrong(Exception):
    pass


def read(folder, digest):
    path = os.path.join(folder, "blobs", *digest.split(":"))
    try:
        with open(path, "rb") as f:
            data = f.read()
    except OSError as error:
        raise Wrong("blob %s: %s" % (digest, error.strerror)) from error
    if "sha256:" + hashlib.sha256(data).hexdigest() != digest:
        raise Wrong("blob %s: %d bytes of something else" % (digest, len(data)))
    return data


def look_into(folder, name):
    with open(os.path.join(folder, "index.json")) as f:
        entries = json.load(f)["manifests"]
    named = [e["digest"] for e in entries if e.get("annotations", {}).get(REF) in (name, name.rpartition(":")[2])]
    if len(named) != 1 or named[0] not in (old, new):
        raise Wrong("%s stands for %s in the layout" % (name, named))
    seen = set()
    for entry in entries:
        manifest = json.loads(read(folder, entry["digest"]))
        for blob in [manifest["config"], *manifest["layers"]]:
            if blob["digest"] not in seen:
                read(folder, blob["digest"])
                seen.add(blob["digest"])


active = ""
try:
    with open(status) as f:
        found = [r["digest"] for r in json.load(f)["releases"] if r["active"]]
    active = found[0] if len(found) == 1 else ""
    if active not in (old, new):
        raise Wrong("status: active is %s" % found)
    if layout:
        look_into(*layout)
except (Wrong, OSError, ValueError, KeyError) as error:
    print("%s\n%s" % (active, error or type(error).__name__))
else:
    print("%s\n" % active)
