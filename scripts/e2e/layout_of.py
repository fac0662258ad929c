"""layout_of.py MANIFEST DIR: an OCI layout that holds a manifest and nothing else; its blobs ride in the manifest itself."""
import hashlib
import json
import os
import sys

with open(sys.argv[1], "rb") as f:
    manifest = f.read()
digest = hashlib.sha256(manifest).hexdigest()
os.makedirs(os.path.join(sys.argv[2], "blobs", "sha256"))
with open(os.path.join(sys.argv[2], "blobs", "sha256", digest), "wb") as f:
    f.write(manifest)
entry = {"mediaType": json.loads(manifest)["mediaType"], "digest": f"sha256:{digest}", "size": len(manifest)}
with open(os.path.join(sys.argv[2], "index.json"), "w") as f:
    json.dump({"schemaVersion": 2, "manifests": [entry]}, f)
with open(os.path.join(sys.argv[2], "oci-layout"), "w") as f:
    f.write('{"imageLayoutVersion":"1.0.0"}')
