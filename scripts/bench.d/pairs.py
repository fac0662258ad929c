#!/usr/bin/env python3
"""pairs.py DIR [NAME...]: pairs of models whose difference is known, as DIR/NAME.old and DIR/NAME.new.

DIR/pairs.tsv lists name, group, what differs, and the ideal code length in bytes of new for one who holds old and knows how
new was made ("-" where nobody knows it). The same files every time: random numbers are counted out by SplitMix64.
"""
import functools
import io
import json
import math
import os
import pickle
import sqlite3
import struct
import sys
import zipfile
import zlib

import numpy as np

GOLDEN = 0x9E3779B97F4A7C15


class Random:
    def __init__(self, seed):
        self.at = seed << 40

    def bits(self, n):
        x = (np.arange(1, n + 1, dtype=np.uint64) + np.uint64(self.at)) * np.uint64(GOLDEN)
        self.at += n
        x = (x ^ x >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ x >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        return x ^ x >> np.uint64(31)

    def uniform(self, n):
        return ((self.bits(n) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53

    def normal(self, n):
        """Box and Muller."""
        half = (n + 1) // 2
        radius = np.sqrt(-2 * np.log(self.uniform(half)))
        turn = 2 * np.pi * self.uniform(half)
        return np.concatenate([radius * np.cos(turn), radius * np.sin(turn)])[:n]

    def below(self, limit, n):
        return (self.bits(n) % np.uint64(limit)).astype(np.int64)


# ---- a network of 3.4 million parameters: He's scale, and one of its own for each channel

LAYERS = {"conv%d" % i: (n, m * 9) for i, (m, n) in enumerate(
    [(3, 32), (32, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512)])}
LAYERS.update({"dense0": (1024, 512), "dense1": (384, 1024), "head": (512, 384)})


def network(seed, layers=LAYERS):
    """Tensors, and the standard deviation of each element."""
    rng, tensors, deviations = Random(seed), {}, {}
    for name, (channels, fan_in) in layers.items():
        scale = math.sqrt(2 / fan_in) * np.exp(0.3 * rng.normal(channels))
        deviations[name] = np.repeat(scale, fan_in).reshape(channels, fan_in)
        tensors[name] = (rng.normal(channels * fan_in).reshape(channels, fan_in) * deviations[name]).astype(np.float32)
    return tensors, deviations


def moved(tensors, seed, deviation, only=None):
    """Normal noise of deviation(tensor) on all tensors, or those named."""
    rng, result = Random(seed), {}
    for name, t in tensors.items():
        if only and name not in only:
            result[name] = t
            continue
        noise = rng.normal(t.size).reshape(t.shape) * deviation(t.astype(np.float64))
        result[name] = (t.astype(np.float64) + noise).astype(np.float32)
    return result


def bf16(t):
    """The upper halves of float32, rounded to nearest, ties to even."""
    bits = t.view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1))) >> np.uint32(16)).astype(np.uint16)


def bf16_value(bits):
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


# ---- ideal code lengths, in bits

def bits_of_density(x, deviation, cell):
    """Normal values x, stored in cells that are small beside the deviation."""
    z = x / deviation
    return float(np.sum(0.5 * z * z + np.log(deviation * math.sqrt(2 * math.pi) / cell))) / math.log(2)


def cell(t):
    """Distance of neighbours around a float."""
    return np.abs(np.spacing(t)).astype(np.float64)


def noise_bits(old, new, deviation, names=None):
    return sum(bits_of_density(new[n].astype(np.float64) - old[n].astype(np.float64), deviation(old[n].astype(np.float64)),
                               cell(new[n])) for n in names or old)


def fresh_bits(new, deviations, names=None):
    return sum(bits_of_density(new[n].astype(np.float64), deviations[n], cell(new[n])) for n in names or new)


def rounded_noise_bits(old, new, old_cell, new_cell, relative):
    """What was moved before both were rounded: old lies anywhere in its cell."""
    old, new = old.ravel().astype(np.float64), new.ravel().astype(np.float64)
    old_cell, new_cell = old_cell.ravel(), new_cell.ravel()
    deviation = np.maximum(relative * np.abs(old), old_cell / 1000)

    def above(z):                                             # integral of the normal distribution
        density = np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
        erf = np.frompyfunc(math.erf, 1, 1)
        return z * 0.5 * (1 + erf(z / math.sqrt(2)).astype(np.float64)) + density

    near, far = (new - old - new_cell / 2) / deviation, (new - old + new_cell / 2) / deviation
    half = old_cell / 2 / deviation
    p = (above(far + half) - above(far - half) - above(near + half) + above(near - half)) / (2 * half)
    return float(-np.sum(np.log2(np.maximum(p, 2.0**-40))))


# ---- files

def safetensors(tensors, kinds="F32", order=None):
    head, at = {"__metadata__": {"format": "pt"}}, 0
    names = order or list(tensors)
    for name in names:
        t = tensors[name]
        head[name] = {"dtype": kinds, "shape": list(t.shape), "data_offsets": [at, at + t.nbytes]}
        at += t.nbytes
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(tensors[n].tobytes() for n in names)


def npy(t):
    text = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }" % (t.dtype.str, t.shape)
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text.encode() + t.tobytes()


def npz(tensors):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, t in tensors.items():
            z.writestr(zipfile.ZipInfo(name + ".npy"), npy(t), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out + bytes([n]))


def field(number, data):
    """Of a protobuf message."""
    if isinstance(data, int):
        return varint(number << 3) + varint(data)
    data = data.encode() if isinstance(data, str) else data
    return varint(number << 3 | 2) + varint(len(data)) + data


def onnx(tensors, producer):
    graph = b""
    for i, name in enumerate(tensors):
        graph += field(1, field(1, "x%d" % i) + field(1, name) + field(2, "x%d" % (i + 1)) + field(4, "MatMul"))
    graph += field(2, "main")
    for name, t in tensors.items():
        graph += field(5, b"".join(field(1, n) for n in t.shape) + field(2, 1) + field(8, name) + field(9, t.tobytes()))
    return field(1, 8) + field(2, producer) + field(7, graph) + field(8, field(2, 17))


# ---- models that are really trained

def sensors(seed, rows, columns=24):
    """Measurements and what they tell: three classes by distance from random centres."""
    rng = Random(seed)
    x = rng.normal(rows * columns).reshape(rows, columns)
    x[:, 1::2] = 0.7 * x[:, ::2] + 0.3 * x[:, 1::2]
    centres = Random(4711).normal(3 * columns).reshape(3, columns)
    label = ((x[:, None, :] - centres) ** 2).sum(2).argmin(1)
    stray = rng.uniform(rows) < 0.05
    label[stray] = rng.below(3, rows)[stray]
    return x.astype(np.float32), label


class Network:
    """Fully connected, rectified, softmax at the end."""
    def __init__(self, sizes, seed):
        rng = Random(seed)
        self.w = [(rng.normal(a * b).reshape(a, b) * math.sqrt(2 / a)).astype(np.float32) for a, b in zip(sizes, sizes[1:])]
        self.b = [np.zeros(b, np.float32) for b in sizes[1:]]
        self.moments = [[np.zeros_like(p), np.zeros_like(p)] for p in self.w + self.b]
        self.steps = 0

    def gradient(self, x, label):
        layers = [x]
        for i, (w, b) in enumerate(zip(self.w, self.b)):
            x = layers[-1] @ w + b
            layers.append(np.maximum(x, 0) if i + 1 < len(self.w) else x)
        e = np.exp(layers[-1] - layers[-1].max(1, keepdims=True))
        back = e / e.sum(1, keepdims=True)
        back[np.arange(len(label)), label] -= 1
        back /= np.float32(len(label))
        gw, gb = [], []
        for i in reversed(range(len(self.w))):
            gw.insert(0, layers[i].T @ back)
            gb.insert(0, back.sum(0))
            back = (back @ self.w[i].T) * (layers[i] > 0)
        return gw + gb

    def adam(self, x, label, rate=1e-3):
        self.steps += 1
        for p, g, m in zip(self.w + self.b, self.gradient(x, label), self.moments):
            m[0] += np.float32(0.1) * (g - m[0])
            m[1] += np.float32(0.001) * (g * g - m[1])
            p -= np.float32(rate) * (m[0] / np.float32(1 - 0.9**self.steps)) \
                / (np.sqrt(m[1] / np.float32(1 - 0.999**self.steps)) + np.float32(1e-8))

    def sgd(self, x, label, rate=1e-2):
        for p, g in zip(self.w + self.b, self.gradient(x, label)):
            p -= np.float32(rate) * g

    def epoch(self, x, label, step, seed):
        order = Random(seed).bits(len(label)).argsort(kind="stable")
        for at in range(0, len(label), 100):
            step(x[order[at:at + 100]], label[order[at:at + 100]])

    def tensors(self):
        named = {}
        for i, (w, b) in enumerate(zip(self.w, self.b)):
            named["layer%d.weight" % i], named["layer%d.bias" % i] = w.T.copy(), b.copy()
        return named


def quantised(tensors):
    """8 bits, symmetric, one scale for each tensor."""
    return {n: np.clip(np.round(t / (np.abs(t).max() / 127 or 1)), -127, 127).astype(np.int8) for n, t in tensors.items()}


NODE = np.dtype([("left", "<i8"), ("right", "<i8"), ("feature", "<i8"), ("threshold", "<f8"), ("impurity", "<f8"),
                 ("rows", "<i8"), ("weight", "<f8")])


def tree(x, label, rows, rng, nodes):
    """Grows a classification tree below `nodes`; Gini's index, five features tried at each split."""
    at = len(nodes)
    share = np.bincount(label[rows], minlength=3) / len(rows)
    impurity = 1 - float((share * share).sum())
    nodes.append([-1, -1, -2, -2.0, impurity, len(rows), float(len(rows))])
    best = (impurity - 1e-9, None)
    for feature in rng.below(x.shape[1], 5) if impurity > 0 and len(rows) > 3 else []:
        order = rows[x[rows, feature].argsort(kind="stable")]
        value = x[order, feature].astype(np.float64)
        left = np.cumsum(np.eye(3)[label[order]], 0)[:-1]
        n = np.arange(1, len(rows))
        right = share * len(rows) - left
        gini = 1 - ((left * left).sum(1) / n + (right * right).sum(1) / (len(rows) - n)) / len(rows)
        gini[value[1:] == value[:-1]] = 2
        i = int(gini.argmin())
        if gini[i] < best[0]:
            best = (float(gini[i]), (int(feature), float(value[i] + value[i + 1]) / 2, order[:i + 1], order[i + 1:]))
    if best[1]:
        feature, threshold, low, high = best[1]
        nodes[at][2:4] = feature, threshold
        nodes[at][0] = tree(x, label, low, rng, nodes)
        nodes[at][1] = tree(x, label, high, rng, nodes)
    return at


def forest(x, label, trees):
    """Each tree is its nodes' number and their records of 56 bytes."""
    out = []
    for i in range(trees):
        rng, nodes = Random(900 + i), []
        tree(x, label, np.sort(rng.below(len(label), len(label))), rng, nodes)
        out.append(b"tree" + struct.pack("<I", len(nodes)) + np.array([tuple(n) for n in nodes], NODE).tobytes())
    return out


# ---- text

def words(seed, n):
    rng = Random(seed)
    size, letters = 2 + rng.below(9, n), rng.below(26, 11 * n)
    return ["".join(chr(97 + c) for c in letters[11 * i:11 * i + k]) for i, k in enumerate(size.tolist())]


# ---- the pairs: name -> (group, what differs, function that returns old, new, bound in bits or None)

PAIRS = {}


def pair(name, group, what):
    def add(make):
        PAIRS[name] = (group, what, make)
    return add


def relative(amount):
    return lambda t: amount * np.abs(t)


def base():
    return network(1)[0]


@pair("s1", "fp32", "fp32, all weights moved by 0.1 %")
def _():
    old = base()
    new = moved(old, 2, relative(1e-3))
    return safetensors(old), safetensors(new), noise_bits(old, new, relative(1e-3))


@pair("s1b", "fp32", "fp32, all moved by 0.1 % of their layer's spread")
def _():
    def spread(t):
        return np.full(t.shape, 1e-3 * t.std())
    old = base()
    new = moved(old, 3, spread)
    return safetensors(old), safetensors(new), noise_bits(old, new, spread)


@pair("s2", "part", "fp32, last 6 % initialised anew")
def _():
    old, (other, deviations) = base(), network(4)
    new = dict(old, head=other["head"])
    return safetensors(old), safetensors(new), fresh_bits(new, deviations, ["head"])


@pair("s2b", "fp32", "fp32, last 6 % moved by 1 %")
def _():
    old = base()
    new = moved(old, 5, relative(1e-2), ["head"])
    return safetensors(old), safetensors(new), noise_bits(old, new, relative(1e-2), ["head"])


@pair("s3bf", "fp16", "bf16 of s1")
def _():
    old = base()
    new = moved(old, 2, relative(1e-3))
    old, new = ({n: bf16(t) for n, t in m.items()} for m in (old, new))
    bits = 0
    for n in old:
        a, b = bf16_value(old[n]), bf16_value(new[n])
        bits += rounded_noise_bits(a, b, cell(a) * 65536, cell(b) * 65536, 1e-3)
    return safetensors(old, "BF16"), safetensors(new, "BF16"), bits


@pair("s3fp", "fp16", "fp16 of s1")
def _():
    old = base()
    new = moved(old, 2, relative(1e-3))
    old, new = ({n: t.astype(np.float16) for n, t in m.items()} for m in (old, new))
    bits = sum(rounded_noise_bits(old[n], new[n], cell(old[n]), cell(new[n]), 1e-3) for n in old)
    return safetensors(old, "F16"), safetensors(new, "F16"), bits


@pair("s4", "int8", "int8, 3 % of the values one step up or down")
def _():
    old = quantised(base())
    rng, new, count = Random(6), {}, 0
    for n, t in old.items():
        step = np.where(rng.uniform(t.size) < 0.03, 2 * rng.below(2, t.size) - 1, 0).reshape(t.shape)
        new[n] = (t + step).astype(np.int8)
        count += t.size
    share = 0.03 * math.log2(1 / 0.03) + 0.97 * math.log2(1 / 0.97) + 0.03
    return safetensors(old, "I8"), safetensors(new, "I8"), share * count


@pair("s6", "unrelated", "fp32, trained from another seed")
def _():
    new, deviations = network(7)
    return safetensors(base()), safetensors(new), fresh_bits(new, deviations)


@pair("s7npz", "packed", "s2b as compressed npz")
def _():
    old = base()
    new = moved(old, 5, relative(1e-2), ["head"])
    return npz(old), npz(new), noise_bits(old, new, relative(1e-2), ["head"])


SMALL = {n: LAYERS[n] for n in ("conv2", "conv3", "conv4", "dense1", "head")}


@pair("npz-all", "packed", "fp32, all moved by 0.1 %, compressed npz")
def _():
    old = network(8, SMALL)[0]
    new = moved(old, 9, relative(1e-3))
    return npz(old), npz(new), noise_bits(old, new, relative(1e-3))


@pair("order", "fp32", "fp32, all moved by 0.1 %, tensors in another order")
def _():
    old = network(10, SMALL)[0]
    new = moved(old, 11, relative(1e-3))
    return safetensors(old), safetensors(new, order=sorted(new, reverse=True)), noise_bits(old, new, relative(1e-3))


@pair("order-same", "part", "fp32, same weights, tensors in another order")
def _():
    old = network(10, SMALL)[0]
    return safetensors(old), safetensors(old, order=["head", "conv2", "dense1", "conv4", "conv3"]), None


@pair("fp32-u8", "export", "fp32 exported anew as u8, scale and minimum per tensor")
def _():
    old, rng = network(12, SMALL)[0], Random(13)
    out = [[], []]
    for t in old.values():
        bias = rng.normal(t.shape[0]).astype(np.float32).tobytes()
        low, high = float(t.min()), float(t.max())
        step = (high - low) / 255
        out[0] += [t.tobytes(), bias]
        out[1] += [np.round((t.astype(np.float64) - low) / step).astype(np.uint8).tobytes(), bias]
    return b"".join(out[0]), b"".join(out[1]), None


@pair("fp32-fp16", "export", "fp32 exported anew as fp16")
def _():
    old = network(12, SMALL)[0]
    return safetensors(old), safetensors({n: t.astype(np.float16) for n, t in old.items()}, "F16"), None


@pair("fp32-bf16", "export", "fp32 exported anew as bf16")
def _():
    old = network(12, SMALL)[0]
    return safetensors(old), safetensors({n: bf16(t) for n, t in old.items()}, "BF16"), None


def trained(epochs):
    x, label = sensors(14, 8000, 64)
    net = Network([64, 256, 256, 24], 15)
    for i in range(epochs):
        net.epoch(x, label, net.adam, 16 + i)
    return net, x, label


@pair("mlp-adam", "fp32", "trained network, one epoch of Adam more")
def _():
    return safetensors(trained(6)[0].tensors()), safetensors(trained(7)[0].tensors()), None


@pair("mlp-sgd", "fp32", "trained network, 20 steps of SGD more")
def _():
    net, x, label = trained(6)
    old = safetensors(net.tensors())
    for i in range(20):
        net.sgd(x[i * 100:][:100], label[i * 100:][:100])
    return old, safetensors(net.tensors()), None


@pair("mlp-int8", "int8", "mlp-adam in 8 bits")
def _():
    old, new = (quantised(trained(n)[0].tensors()) for n in (6, 7))
    return safetensors(old, "I8"), safetensors(new, "I8"), None


@pair("mlp-onnx", "fp32", "mlp-sgd as ONNX, other producer")
def _():
    net, x, label = trained(6)
    old = onnx(net.tensors(), "trainer 1.9")
    for i in range(20):
        net.sgd(x[i * 100:][:100], label[i * 100:][:100])
    return old, onnx(net.tensors(), "trainer 1.10.1"), None


@functools.cache
def forests():
    """Sixteen trees, and sixteen of the same rows but for 2 %."""
    x, label = sensors(17, 2000)
    y, other = x.copy(), label.copy()
    y[:40], other[:40] = sensors(18, 40)
    return forest(x, label, 16), forest(y, other, 16)


def wider(tree_bytes):
    """64 bytes for each node."""
    nodes = np.frombuffer(tree_bytes[8:], np.uint8).reshape(-1, 56)
    return tree_bytes[:8] + np.pad(nodes, ((0, 0), (0, 8))).tobytes()


@pair("trees-56", "trees", "forest, 2 % of the rows replaced, 56-byte nodes")
def _():
    return (*(b"".join(trees) for trees in forests()), None)


@pair("trees-64", "trees", "the same with 64-byte nodes")
def _():
    return (*(b"".join(map(wider, trees)) for trees in forests()), None)


@pair("trees-warm", "trees", "forest with three trees more")
def _():
    trees, other = forests()
    return b"".join(trees), b"".join(trees + other[:3]), None


@pair("trees-moved", "trees", "same trees, thresholds moved by 1 %")
def _():
    old, rng = forests()[0], Random(19)
    new = []
    for t in old:
        nodes = np.frombuffer(t[8:], NODE).copy()
        split = nodes["feature"] >= 0
        nodes["threshold"][split] *= 1 + 0.01 * rng.normal(int(split.sum()))
        new.append(t[:8] + nodes.tobytes())
    return b"".join(old), b"".join(new), None


def scaler(x, label, steps):
    """Means, deviations and a linear classifier, in the way that small models are kept."""
    net = Network([x.shape[1], 24, 3], 20)
    for i in range(steps):
        net.adam(x, label, 1e-2)
    state = {"mean": x.mean(0), "scale": x.std(0), "weights": net.w, "bias": net.b}
    state = {k: [(a.shape, a.dtype.str, a.astype(np.float64).tobytes()) for a in (v if isinstance(v, list) else [v])]
             for k, v in state.items()}
    return pickle.dumps({"version": "1.2.1", "classes": ["normal", "warm", "failing"], "state": state}, 4)


@pair("pickle-6k", "fp32", "pickle of 6 kB, trained on 5 % more rows")
def _():
    x, label = sensors(21, 1050)
    return scaler(x[:1000], label[:1000], 100), scaler(x, label, 100), None


@pair("pickle-zlib", "packed", "mlp-sgd as zlib-compressed pickle")
def _():
    net, x, label = trained(6)
    out = []
    for i in range(21):
        if i in (0, 20):
            named = {n: (t.shape, t.tobytes()) for n, t in net.tensors().items()}
            out.append(zlib.compress(pickle.dumps(named, 4), 3))
        net.sgd(x[i * 100:][:100], label[i * 100:][:100])
    return (*out, None)


@pair("q8", "int8", "GGUF's Q8_0 records of s1")
def _():
    def records(tensors):
        out = []
        for t in tensors.values():
            rows = t.reshape(-1)[:t.size // 32 * 32].reshape(-1, 32)
            scale = (np.abs(rows).max(1) / 127).astype(np.float16)
            q = np.round(rows / scale.astype(np.float32)[:, None]).astype(np.int8)
            out.append(np.concatenate([scale.view(np.uint8).reshape(-1, 2), q.view(np.uint8)], 1).tobytes())
        return b"".join(out)
    old = network(10, SMALL)[0]
    return b"GGUF" + bytes(60) + records(old), b"GGUF" + bytes(60) + records(moved(old, 11, relative(1e-3))), None


@pair("q4", "int8", "GGUF's Q4_0 records of s1")
def _():
    def records(tensors):
        out = []
        for t in tensors.values():
            rows = t.reshape(-1)[:t.size // 32 * 32].reshape(-1, 32)
            top = np.take_along_axis(rows, np.abs(rows).argmax(1)[:, None], 1)[:, 0]
            scale = (top / -8).astype(np.float16)
            q = np.clip(np.floor(rows / scale.astype(np.float32)[:, None] + 8.5), 0, 15).astype(np.uint8)
            out.append(np.concatenate([scale.view(np.uint8).reshape(-1, 2), q[:, :16] | q[:, 16:] << 4], 1).tobytes())
        return b"".join(out)
    old = network(10, SMALL)[0]
    return b"GGUF" + bytes(60) + records(old), b"GGUF" + bytes(60) + records(moved(old, 11, relative(1e-3))), None


@pair("onnx-one", "part", "ONNX, one of five initializers moved by 1 %")
def _():
    old = network(10, SMALL)[0]
    new = moved(old, 22, relative(1e-2), ["dense1"])
    return onnx(old, "trainer 1.9"), onnx(new, "trainer 1.10"), noise_bits(old, new, relative(1e-2), ["dense1"])


@pair("rows-added", "part", "fp32 embedding, 40 rows added in the middle")
def _():
    t = Random(23).normal(6000 * 96).reshape(6000, 96).astype(np.float32)
    more = Random(24).normal(40 * 96).reshape(40, 96).astype(np.float32)
    new = t
    for i in range(40):
        new = np.insert(new, 100 + 140 * i, more[i], 0)
    return safetensors({"embedding": t}), safetensors({"embedding": new}), fresh_bits({"e": more}, {"e": np.ones(more.shape)})


@pair("rows-moved", "fp32", "fp32 embedding, rows added, all moved by 0.1 %")
def _():
    t = Random(23).normal(6000 * 96).reshape(6000, 96).astype(np.float32)
    more = Random(24).normal(40 * 96).reshape(40, 96).astype(np.float32)
    new = moved({"e": t}, 25, relative(1e-3))["e"]
    bits = noise_bits({"e": t}, {"e": new}, relative(1e-3)) + fresh_bits({"e": more}, {"e": np.ones(more.shape)})
    for i in range(40):
        new = np.insert(new, 100 + 140 * i, more[i], 0)
    return safetensors({"embedding": t}), safetensors({"embedding": new}), bits


def pruned(t, share):
    return np.where(np.abs(t) < np.quantile(np.abs(t), share), np.float32(0), t).astype(np.float32)


@pair("pruned", "export", "fp32, the smallest 80 % of the weights became 0")
def _():
    old = network(10, SMALL)[0]
    return safetensors(old), safetensors({n: pruned(t, 0.8) for n, t in old.items()}), None


@pair("pruned-moved", "fp32", "fp32, 80 % zeros, the others moved by 0.1 %")
def _():
    old = {n: pruned(t, 0.8) for n, t in network(10, SMALL)[0].items()}
    new = moved(old, 26, relative(1e-3))
    kept = {n: t[t != 0] for n, t in old.items()}
    return safetensors(old), safetensors(new), noise_bits(kept, {n: new[n][old[n] != 0] for n in new}, relative(1e-3))


def vocabulary(list_of_words, rank):
    return "".join("%s %d\n" % (w, r) for w, r in zip(list_of_words, rank)).encode()


@pair("vocabulary", "text", "word list with ranks, 200 words added, ranks follow")
def _():
    old = sorted(set(words(27, 12000)))
    new = sorted(set(old) | set(words(28, 200)))
    return vocabulary(old, range(len(old))), vocabulary(new, range(len(new))), None


@pair("json-model", "text", "JSON of a small network, weights moved by 0.1 %")
def _():
    rng = Random(29)
    t = rng.normal(6000) * 0.1
    new = t * (1 + 1e-3 * rng.normal(6000))
    return (*(json.dumps({"layers": [{"w": [round(float(v), 6) for v in a]}]}).encode() for a in (t, new)), None)


@pair("json-head", "text", "JSON, 5 % of the numbers replaced")
def _():
    rng = Random(30)
    t = rng.normal(20000) * 0.1
    new = np.where(rng.uniform(20000) < 0.05, rng.normal(20000) * 0.1, t)
    return (*(json.dumps([round(float(v), 5) for v in a]).encode() for a in (t, new)), None)


@pair("lightgbm", "text", "text dump of a forest, 2 % of the rows replaced")
def _():
    def text(model):
        out = []
        for t in model:
            nodes = np.frombuffer(t[8:], NODE)
            for key in ("left", "right", "feature", "rows"):
                out.append("%s=%s\n" % (key, " ".join(map(str, nodes[key].tolist()))))
            out.append("threshold=%s\n\n" % " ".join("%.17g" % v for v in nodes["threshold"]))
        return "".join(out).encode()
    return (*(text(trees[:6]) for trees in forests()), None)


@pair("sqlite", "text", "SQLite, 2 % of the rows updated")
def _():
    rng, name = Random(31), words(32, 6000)
    db = sqlite3.connect(":memory:")
    db.execute("PRAGMA page_size = 4096")
    db.execute("CREATE TABLE feature (id INTEGER PRIMARY KEY, name TEXT, weight REAL)")
    db.executemany("INSERT INTO feature VALUES (?, ?, ?)", zip(range(6000), name, rng.normal(6000).tolist()))
    db.commit()
    old = db.serialize() if hasattr(db, "serialize") else "\n".join(db.iterdump()).encode()
    db.executemany("UPDATE feature SET weight = ?, name = name || 'x' WHERE id = ?",
                   zip(rng.normal(120).tolist(), rng.below(6000, 120).tolist()))
    db.commit()
    return old, db.serialize() if hasattr(db, "serialize") else "\n".join(db.iterdump()).encode(), None


@pair("far-moves", "part", "12 MB, its 1.5 MB parts in another order")
def _():
    parts = [Random(40 + i).bits(1500000 // 8).tobytes() for i in range(8)]
    return b"".join(parts), b"".join(parts[i] for i in (5, 2, 7, 0, 3, 6, 1, 4)), None


for size in (100, 1000, 10000):
    @pair("tiny-%d" % size, "small", "%d bytes of numbers, a tenth of them moved by 1 %%" % size)
    def _(size=size):
        rng = Random(50 + size)
        t = rng.normal(size // 4).astype(np.float32)
        new = np.where(rng.uniform(t.size) < 0.1, t * (1 + 0.01 * rng.normal(t.size)), t).astype(np.float32)
        return t.tobytes(), new.tobytes(), None

    @pair("conf-%d" % size, "small", "%d bytes of settings, two lines changed" % size)
    def _(size=size):
        lines = ["%s.%s = %s\n" % tuple(words(60 + i, 3)) for i in range(size // 20)]
        new = list(lines)
        new[len(new) // 3], new[-1] = "threshold = 0.75\n", "version = 2\n"
        return "".join(lines).encode(), "".join(new).encode(), None


def large(directory, megabytes):
    """A fine-tune of that many million bytes: fp32, all weights moved by 0.1 %."""
    old_path, new_path = (os.path.join(directory, "large-%d.%s" % (megabytes, w)) for w in ("old", "new"))
    rows = megabytes * 250000
    with open(old_path, "wb") as old, open(new_path, "wb") as new:
        head = json.dumps({"weight": {"dtype": "F32", "shape": [rows], "data_offsets": [0, 4 * rows]}}).encode()
        head += b" " * (-len(head) % 8)
        for out in (old, new):
            out.write(struct.pack("<Q", len(head)) + head)
        for at in range(0, rows, 1 << 20):
            rng = Random(1000 + (at >> 20))
            n = min(1 << 20, rows - at)
            t = (rng.normal(n) * (0.02 + 0.01 * (at >> 20 & 7))).astype(np.float32)
            old.write(t.tobytes())
            new.write((t * (1 + 1e-3 * rng.normal(n))).astype(np.float32).tobytes())
    return old_path, new_path


def main(directory, *names):
    os.makedirs(directory, exist_ok=True)
    rows = []
    for name in names or PAIRS:
        group, what, make = PAIRS[name]
        old, new, bits = make()
        for which, data in (("old", old), ("new", new)):
            with open(os.path.join(directory, "%s.%s" % (name, which)), "wb") as f:
                f.write(data)
        rows.append("%s\t%s\t%s\t%s\n" % (name, group, what, "-" if bits is None else math.ceil(bits / 8)))
    with open(os.path.join(directory, "pairs.tsv"), "w") as f:
        f.write("".join(rows))


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[2] == "--large":
        large(sys.argv[1], int(sys.argv[3]))
    else:
        main(*sys.argv[1:])
