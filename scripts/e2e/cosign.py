#!/usr/bin/env python3
"""Sign an image in a registry as cosign does with a key, through openssl and HTTP alone.

usage: cosign.py tag|bundle|bundle-3.1|bundle-3.0 KEY URL REPOSITORY DIGEST [NAME=VALUE]...

URL is the registry's (http://127.0.0.1:5000), KEY a PEM file. The documents follow cosign's sources: the payload of
sigstore/sigstore pkg/signature/payload, the manifest that go-containerregistry appends a layer to (cosign
pkg/oci/mutate/signatures.go), the bundle and its referrer of cosign pkg/oci/remote/write.go (WriteReferrer), member by member in
their order. What the index of referrers says of a bundle is that of the newest cosign, of 3.1 (no annotations), or of 2.6 to 3.0.2 (the type
of an empty configuration, go-containerregistry before 0.21.6; and no annotations in the statement). Prints the digest of the manifest
that it wrote.
"""
import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PREDICATE = "https://sigstore.dev/cosign/sign/v1"
INTOTO = "application/vnd.in-toto+json"
NEVER = "0001-01-01T00:00:00Z"


def go_json(value):
    """As Go's encoding/json marshals it."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for c in "<>&":
        text = text.replace(c, f"\\u{ord(c):04x}")
    return text.encode()


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def run(*command, data=None):
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout


def sign(key, data):
    if "ED25519" not in run("openssl", "pkey", "-in", key, "-noout", "-text").decode():
        return run("openssl", "dgst", "-sha256", "-sign", key, data=data)
    with tempfile.NamedTemporaryFile() as f:          # one-shot algorithms want a file
        f.write(data)
        f.flush()
        return run("openssl", "pkeyutl", "-sign", "-rawin", "-inkey", key, "-in", f.name)


class Registry:
    def __init__(self, url, repository):
        self.base = f"{url}/v2/{repository}"
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def call(self, method, url, data=None, **headers):
        headers = {k.replace("_", "-"): v for k, v in headers.items()}
        return self.opener.open(urllib.request.Request(url, data, headers, method=method))

    def get(self, name):
        try:
            return json.load(self.call("GET", f"{self.base}/manifests/{name}", Accept=f"{MANIFEST}, {INDEX}"))
        except urllib.error.HTTPError as e:
            if e.code != 404:
                raise
            return None

    def head(self, name):
        with self.call("HEAD", f"{self.base}/manifests/{name}", Accept=f"{MANIFEST}, {INDEX}") as r:
            return {"mediaType": r.headers["Content-Type"], "size": int(r.headers["Content-Length"]), "digest": name}

    def put_blob(self, data):
        where = self.call("POST", f"{self.base}/blobs/uploads/", b"").headers["Location"]
        where = urllib.parse.urljoin(self.base, where)
        self.call("PUT", f"{where}{'&' if '?' in where else '?'}digest={digest_of(data)}", data,
                  Content_Type="application/octet-stream")
        return {"size": len(data), "digest": digest_of(data)}

    def put(self, name, document, kind=MANIFEST):
        data = go_json(document)
        self.call("PUT", f"{self.base}/manifests/{name or digest_of(data)}", data, Content_Type=kind)
        return data


def sign_tag(registry, reference, key, digest, notes):
    payload = go_json({
        "critical": {"identity": {"docker-reference": reference}, "image": {"docker-manifest-digest": digest},
                     "type": "cosign container image signature"},
        "optional": dict(sorted(notes.items())) or None,
    })
    tag = digest.replace(":", "-") + ".sig"
    old = registry.get(tag) or {"layers": []}
    signature = base64.b64encode(sign(key, payload)).decode()
    layers = old["layers"] + [{"mediaType": PAYLOAD, **registry.put_blob(payload),
                               "annotations": {"dev.cosignproject.cosign/signature": signature}}]
    config = go_json({
        "architecture": "", "created": NEVER, "history": [{"created": NEVER} for _ in layers], "os": "",
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]}, "config": {},
    })
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": {"mediaType": CONFIG, **registry.put_blob(config)},
                "layers": layers}
    return registry.put(tag, manifest)


def sign_bundle(registry, key, digest, notes, like):
    algorithm, value = digest.split(":")
    subject = {"digest": {algorithm: value}}
    statement = {"_type": "https://in-toto.io/Statement/v1", "subject": [subject], "predicateType": PREDICATE}
    if like != "3.0":
        subject["annotations"] = notes
        statement["predicate"] = {}
    statement = go_json(statement)
    signed = b"DSSEv1 %d %s %d %s" % (len(INTOTO), INTOTO.encode(), len(statement), statement)
    hint = hashlib.sha256(run("openssl", "pkey", "-in", key, "-pubout", "-outform", "DER")).digest()
    bundle = go_json({
        "mediaType": BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": base64.b64encode(hint).decode()}},
        "dsseEnvelope": {"payload": base64.b64encode(statement).decode(), "payloadType": INTOTO,
                         "signatures": [{"sig": base64.b64encode(sign(key, signed)).decode()}]},
    }).replace(b'":', b'": ')                        # protojson puts blanks where it likes
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", "1"))))
    annotations = {"dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": PREDICATE,
                   "org.opencontainers.image.created": created}
    manifest = {
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", **registry.put_blob(b"{}"), "artifactType": BUNDLE},
        "layers": [{"mediaType": BUNDLE, **registry.put_blob(bundle)}],
        "annotations": annotations, "subject": registry.head(digest), "artifactType": BUNDLE,
    }
    data = registry.put(None, manifest)
    # a registry without the referrers API: its client keeps the index (distribution-spec, "Referrers Tag Schema")
    tag = digest.replace(":", "-")
    index = registry.get(tag) or {"schemaVersion": 2, "mediaType": INDEX, "manifests": []}
    entry = {"mediaType": MANIFEST, "size": len(data), "digest": digest_of(data)}
    if not like:
        entry["annotations"] = annotations
    entry["artifactType"] = manifest["config"]["mediaType"] if like == "3.0" else BUNDLE
    index["manifests"].append(entry)
    registry.put(tag, index, INDEX)
    return data


def main(form, key, url, repository, digest, *notes):
    registry = Registry(url, repository)
    notes = dict(note.split("=", 1) for note in notes)
    if form == "tag":
        data = sign_tag(registry, f"{url.split('//')[1]}/{repository}", key, digest, notes)
    elif form in ("bundle", "bundle-3.1", "bundle-3.0"):
        data = sign_bundle(registry, key, digest, notes, form.partition("-")[2])
    else:
        sys.exit(__doc__)
    print(digest_of(data))


if __name__ == "__main__":
    if len(sys.argv) < 6:
        sys.exit(__doc__)
    main(*sys.argv[1:])
