#!/usr/bin/env python3
"""tree.py list <TAR         one line per file of a container's tree, sorted, without times
tree.py diff A B          paths that differ between two lists, one per line; exit 1 when there are any
"""
import gzip
import hashlib
import sys
import tarfile

TYPES = {
    tarfile.REGTYPE: "f", tarfile.AREGTYPE: "f", tarfile.GNUTYPE_SPARSE: "f", tarfile.DIRTYPE: "d",
    tarfile.SYMTYPE: "l", tarfile.CHRTYPE: "c", tarfile.BLKTYPE: "b", tarfile.FIFOTYPE: "p",
}
# What the engine itself puts into every container.
ENGINE = {"dev", ".dockerenv", "etc/hostname", "etc/hosts", "etc/resolv.conf", "etc/mtab",
          "dev/console", "dev/pts", "dev/shm", "proc", "sys"}


def quote(text):
    raw = text.encode("utf-8", "surrogateescape")
    return "".join(chr(b) if 33 <= b < 127 and b != 92 else "\\x%02x" % b for b in raw)


def clean(name):
    name = name.strip("/")
    return name[2:] if name.startswith("./") else name


def listing(stream):
    rows, groups = {}, {}
    with tarfile.open(fileobj=stream, mode="r|", encoding="utf-8", errors="surrogateescape") as tar:
        for m in tar:
            name = clean(m.name)
            if name in ENGINE or name in ("", "."):
                continue
            if m.type == tarfile.LNKTYPE:
                target = clean(m.linkname)
                rows[name] = rows[target]
                groups.setdefault(target, [target]).append(name)
                continue
            kind = TYPES[m.type]
            detail = "-"
            if kind == "f":
                digest = hashlib.sha256()
                data = tar.extractfile(m)
                while True:
                    piece = data.read(1 << 20)
                    if not piece:
                        break
                    digest.update(piece)
                detail = "%d:%s" % (m.size, digest.hexdigest())
            elif kind == "l":
                detail = quote(m.linkname)
            elif kind in "cb":
                detail = "%d:%d" % (m.devmajor, m.devminor)
            xattrs = ",".join(sorted(
                quote(k[13:]) + "=" + v.encode("utf-8", "surrogateescape").hex()
                for k, v in m.pax_headers.items() if k.startswith("SCHILY.xattr.")))
            mode = m.mode & 0o7777 if kind != "l" else 0o777
            rows[name] = "%s %04o %d:%d %s %s" % (kind, mode, m.uid, m.gid, detail, xattrs or "-")
    link = {}
    for names in groups.values():
        first = min(names)
        for name in names:
            link[name] = quote(first)
    for name in sorted(rows):
        print(quote(name), rows[name], link.get(name, "-"))


def load(path):
    with (gzip.open(path, "rt") if path.endswith(".gz") else open(path)) as f:
        return dict(line.rstrip("\n").split(" ", 1) for line in f)


def main():
    if sys.argv[1] == "list":
        listing(sys.stdin.buffer)
        return 0
    old, new = load(sys.argv[2]), load(sys.argv[3])
    differing = sorted(p for p in old.keys() | new.keys() if old.get(p) != new.get(p))
    for path in differing:
        print(path)
    return 1 if differing else 0


sys.exit(main())
