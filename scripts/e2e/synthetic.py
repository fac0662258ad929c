#!/usr/bin/env python3
"""synthetic.py LAYOUT FILES: an OCI layout with the tags 1 and 2, one gzip layer of FILES small files each.

The same arguments give the same bytes. Tag 2 has other times everywhere and other content in one file of a thousand.
"""
import hashlib
import json
import os
import sys
import zlib

layout, count = sys.argv[1], int(sys.argv[2])
blobs = os.path.join(layout, "blobs", "sha256")
os.makedirs(blobs, exist_ok=True)


def header(name, kind, mode, size, mtime):
    head = bytearray(512)
    head[0:len(name)] = name
    head[100:108] = b"%07o\0" % mode
    head[108:116] = head[116:124] = b"0000000\0"
    head[124:136] = b"%011o\0" % size
    head[136:148] = b"%011o\0" % mtime
    head[148:156] = b"        "
    head[156:157] = kind
    head[257:265] = b"ustar\00000"
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head)


def layer(version):
    mtime = 1700000000 + version
    tar, packed = hashlib.sha256(), hashlib.sha256()
    gzip = zlib.compressobj(1, zlib.DEFLATED, 31)
    path = os.path.join(blobs, "new")
    size = 0
    with open(path, "wb") as out:
        def put(data):
            nonlocal size
            tar.update(data)
            data = gzip.compress(data)
            packed.update(data)
            out.write(data)
            size += len(data)

        put(header(b"data/", b"5", 0o755, 0, mtime))
        pending = []
        for i in range(count):
            if i % 1000 == 0:
                pending.append(header(b"data/%04d/" % (i // 1000), b"5", 0o755, 0, mtime))
            text = b"file %d of a synthetic layer, %064x\n" % (i, (i + 1) * 0x9E3779B97F4A7C15)
            if version == 2 and i % 1000 == 7:
                text = b"changed " + text
            pending.append(header(b"data/%04d/package-file-%07d.txt" % (i // 1000, i), b"0", 0o644, len(text), mtime))
            pending.append(text + bytes(-len(text) % 512))
            if len(pending) > 2000:
                put(b"".join(pending))
                pending = []
        put(b"".join(pending) + bytes(1024))
        data = gzip.flush()
        packed.update(data)
        out.write(data)
        size += len(data)
    os.rename(path, os.path.join(blobs, packed.hexdigest()))
    return "sha256:" + tar.hexdigest(), "sha256:" + packed.hexdigest(), size


def put_json(value):
    data = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    digest = hashlib.sha256(data).hexdigest()
    with open(os.path.join(blobs, digest), "wb") as f:
        f.write(data)
    return {"digest": "sha256:" + digest, "size": len(data)}


OCI = "application/vnd.oci.image."
manifests = []
for version in (1, 2):
    diff_id, digest, size = layer(version)
    config = put_json({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]}, "history": [{"created_by": "synthetic.py"}],
    })
    manifest = put_json({
        "schemaVersion": 2, "mediaType": OCI + "manifest.v1+json",
        "config": {"mediaType": OCI + "config.v1+json", **config},
        "layers": [{"mediaType": OCI + "layer.v1.tar+gzip", "digest": digest, "size": size}],
    })
    manifests.append({
        "mediaType": OCI + "manifest.v1+json", **manifest,
        "annotations": {"org.opencontainers.image.ref.name": str(version)},
    })
with open(os.path.join(layout, "oci-layout"), "w") as f:
    f.write('{"imageLayoutVersion":"1.0.0"}')
with open(os.path.join(layout, "index.json"), "w") as f:
    json.dump({"schemaVersion": 2, "manifests": manifests}, f)
