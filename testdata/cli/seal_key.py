#!/usr/bin/env python3
"""usage: seal_key.py PASSPHRASE <key.pem >sealed.key

Encrypts a private key in PEM (PKCS#8) as `cosign generate-key-pair` and `cosign import-key-pair` do: scrypt and NaCl's secretbox in
JSON (secure-systems-lab/go-securesystemslib, encrypted/encrypted.go). Salt and nonce are fixed: a test's key is no secret.
"""
import base64
import hashlib
import json
import struct
import sys

MASK = 0xFFFFFFFF


def rounds(x):
    def quarter(a, b, c, d):
        for to, one, two, by in ((b, a, d, 7), (c, b, a, 9), (d, c, b, 13), (a, d, c, 18)):
            s = x[one] + x[two] & MASK
            x[to] ^= (s << by | s >> 32 - by) & MASK
    for _ in range(10):
        for q in ((0, 4, 8, 12), (5, 9, 13, 1), (10, 14, 2, 6), (15, 3, 7, 11),
                  (0, 1, 2, 3), (5, 6, 7, 4), (10, 11, 8, 9), (15, 12, 13, 14)):
            quarter(*q)
    return x


def state(key, block):
    k, c, n = struct.unpack("<8I", key), struct.unpack("<4I", b"expand 32-byte k"), struct.unpack("<4I", block)
    return [c[0], *k[:4], c[1], *n, c[2], *k[4:], c[3]]


def stream(key, nonce, length):
    x = rounds(state(key, nonce[:16]))
    key = struct.pack("<8I", *(x[i] for i in (0, 5, 10, 15, 6, 7, 8, 9)))
    out = b""
    while len(out) < length:
        begin = state(key, nonce[16:] + struct.pack("<Q", len(out) // 64))
        out += struct.pack("<16I", *(a + b & MASK for a, b in zip(begin, rounds(begin[:]))))
    return out[:length]


def poly1305(key, data):
    r, s = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF, int.from_bytes(key[16:], "little")
    total = 0
    for at in range(0, len(data), 16):
        total = (total + int.from_bytes(data[at:at + 16] + b"\1", "little")) * r % ((1 << 130) - 5)
    return (total + s & (1 << 128) - 1).to_bytes(16, "little")


def secretbox(key, nonce, message):
    pad = stream(key, nonce, 32 + len(message))
    box = bytes(a ^ b for a, b in zip(message, pad[32:]))
    return poly1305(pad[:32], box) + box


def main(passphrase):
    der = base64.b64decode("".join(line for line in sys.stdin.read().splitlines() if not line.startswith("-")))
    salt, nonce = bytes(range(32)), bytes(range(24))
    key = hashlib.scrypt(passphrase.encode(), salt=salt, n=65536, r=8, p=1, maxmem=1 << 27, dklen=32)
    text = json.dumps({
        "kdf": {"name": "scrypt", "params": {"N": 65536, "r": 8, "p": 1}, "salt": base64.b64encode(salt).decode()},
        "cipher": {"name": "nacl/secretbox", "nonce": base64.b64encode(nonce).decode()},
        "ciphertext": base64.b64encode(secretbox(key, nonce, der)).decode(),
    }, separators=(",", ":"))
    body = base64.b64encode(text.encode()).decode()
    print("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----")
    for at in range(0, len(body), 64):
        print(body[at:at + 64])
    print("-----END ENCRYPTED SIGSTORE PRIVATE KEY-----")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
