#!/usr/bin/env python3
"""Small files of weights for the cases of `veneer delta`, the same on every machine, in the current folder:

  old.bin      4,000 floats
  new.bin      the same, all of them moved a little
  other.bin    4,000 floats that have nothing to do with them
  noise.bin    bytes that nothing compresses
"""
import random
import struct


def write(name, floats):
    with open(name, "wb") as f:
        f.write(b"weights\n" + struct.pack(f"<{len(floats)}f", *floats))


draw = random.Random(1)
old = [draw.uniform(-1, 1) for _ in range(4000)]
write("old.bin", old)
write("new.bin", [w * (1 + draw.uniform(-1, 1) / 4096) for w in old])
write("other.bin", [draw.uniform(-1, 1) for _ in range(4000)])
with open("noise.bin", "wb") as f:
    f.write(draw.getrandbits(8 * 5000).to_bytes(5000, "little"))
