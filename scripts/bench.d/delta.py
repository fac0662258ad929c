#!/usr/bin/env python3
"""delta.py WORLD RUN: what turns one model into the next, by veneer and by the tools that people use today.

WORLD keeps the pairs and what the other tools made of them; RUN is for this run's files. Environment: VENEER, the program;
VENEER_BENCH_PAIRS, names with wildcards; VENEER_BENCH_QUICK, without the large files; VENEER_BENCH_NPMRC, files that may name a
registry; npm_config_registry, the registry.
"""
import csv
import fnmatch
import hashlib
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tarfile

here = os.path.dirname(os.path.abspath(__file__))
world, run_dir = sys.argv[1:3]
veneer = os.environ["VENEER"]
wanted = os.environ.get("VENEER_BENCH_PAIRS", "*").split()
quick = os.environ.get("VENEER_BENCH_QUICK")
DECODE_RUNS = 3
FREE_BYTES = 64                 # what a delta may be larger than the best peer's


def path_of(name, which):
    return os.path.join(world, "pairs", "%s.%s" % (name, which))


def temporary(name):
    return os.path.join(run_dir, name)


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while chunk := f.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def is_wanted(name):
    return any(fnmatch.fnmatch(name, w) for w in wanted)


def say(text):
    print(text, flush=True)


# ---- running and measuring

class Failed(Exception):
    pass


def measured(command, environment=None):
    """Elapsed and processor seconds, peak of resident memory in KiB, and what was printed."""
    times = temporary("time")
    with open(temporary("stderr"), "w+b") as stderr:
        done = subprocess.run(["/usr/bin/time", "-o", times, "-f", "%e %U %S %M", *command], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=stderr, env=environment)
        stderr.seek(0)
        last = stderr.read().decode(errors="replace").strip().rpartition("\n")[2]
    if done.returncode:
        raise Failed("%s: exit %d: %s" % (os.path.basename(command[0]), done.returncode, last[:100]))
    with open(times) as f:
        elapsed, user, system, kib = map(float, f.read().split("\n")[-2].split())
    return {"seconds": elapsed, "cpu": user + system, "kib": int(kib), "text": done.stdout.decode(errors="replace")}


def best(runs, command):
    return min((measured(command) for _ in range(runs)), key=lambda m: m["cpu"])


def power_of_two(n):
    return 1 << max(n - 1, 1).bit_length()


# The peers: what must be installed, how to encode and to decode. {window} is what lets xdelta3 see all of old; names of files
# stay out of its header.
PEERS = {
    "gzip": (["gzip"], "gzip -9n <{new} >{delta}", "gzip -d <{delta} >{out}"),
    "zstd": (["zstd"], "zstd -q -19 <{new} >{delta}", "zstd -q -d <{delta} >{out}"),
    "patch-from": (["zstd"], "exec zstd -q -19 --long=27 --patch-from={old} {new} -o {delta}",
                   "exec zstd -q -d --long=27 --patch-from={old} {delta} -o {out}"),
    "xdelta3": (["xdelta3"], "exec xdelta3 -e -9 -S lzma -A= -B {window} -s {old} {new} {delta}",
                "exec xdelta3 -d -B {window} -s {old} {delta} {out}"),
    "bsdiff": (["bsdiff", "bspatch"], "exec bsdiff {old} {new} {delta}", "exec bspatch {old} {out} {delta}"),
    "rdiff": (["rdiff", "zstd"],
              "rdiff signature -b 512 {old} {delta}.s && rdiff delta {delta}.s {new} {delta}.r && zstd -q -19 <{delta}.r >{delta}",
              "zstd -q -d <{delta} >{delta}.r && rdiff patch {old} {delta}.r {out}"),
}


def tool_version(tool):
    """What its package calls itself, or else nothing: a new one then hides behind the old results."""
    done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", tool], capture_output=True, text=True)
    return done.stdout.strip()


class Cache:
    """Results that never change: by tool, version, commands and content."""
    def __init__(self):
        self.path = os.path.join(world, "peers.json")
        try:
            with open(self.path) as f:
                self.known = json.load(f)
        except (OSError, ValueError):
            self.known = {}

    def get(self, key, make):
        if key not in self.known:
            self.known[key] = make()
            with open(self.path + ".new", "w") as f:
                json.dump(self.known, f)
            os.replace(self.path + ".new", self.path)
        return self.known[key]


def remove(*paths):
    for path in paths:
        if os.path.exists(path):
            os.unlink(path)


def peer_result(peer, pair):
    _, encode, decode = PEERS[peer]
    delta, out = temporary("peer"), temporary("out")
    names = {"old": pair.old, "new": pair.new, "delta": delta, "out": out,
             "window": power_of_two(max(os.path.getsize(pair.old), 1 << 20))}
    try:
        remove(delta, out, delta + ".s", delta + ".r")
        made = measured(["sh", "-c", encode.format(**names)])
        back = None
        for _ in range(DECODE_RUNS):
            remove(out, delta + ".r")
            again = measured(["sh", "-c", decode.format(**names)])
            back = again if back is None or again["cpu"] < back["cpu"] else back
        if sha256(out) != pair.new_digest:
            raise Failed("%s does not give %s back" % (peer, pair.name))
    except Failed as error:
        return {"error": str(error)}
    return {"bytes": os.path.getsize(delta), "encode": made["seconds"], "decode": back["cpu"], "kib": back["kib"]}


def peers_of(pair, cache):
    for peer, (tools, *commands) in PEERS.items():
        if not all(shutil.which(t) for t in tools):
            continue
        key = "|".join([peer, tool_version(tools[0]), *commands, pair.old_digest, pair.new_digest])
        result = cache.get(key, lambda: peer_result(peer, pair))
        if "error" in result:
            say("  %s: %s" % (pair.name, result["error"]))
        else:
            pair.peers[peer] = result


def veneer_result(pair):
    delta, out = temporary("delta"), temporary("out")
    remove(delta, out)
    try:
        made = measured([veneer, "delta", "make", "--larger", "--format=json", "-o", delta, pair.old, pair.new])
        back = None
        for _ in range(DECODE_RUNS):
            remove(out)
            again = measured([veneer, "delta", "apply", "-o", out, pair.old, delta])
            back = again if back is None or again["cpu"] < back["cpu"] else back
        if sha256(out) != pair.new_digest:
            raise Failed("veneer does not give %s back" % pair.name)
        said = json.loads(made["text"])["deltas"][0]
    except Failed as error:
        say("  %s: %s" % (pair.name, error))
        return
    pair.ours = {"bytes": os.path.getsize(delta), "encode": made["seconds"], "decode": back["cpu"], "kib": back["kib"]}
    pair.relation = said.get("relation") or "-"
    pair.methods = said.get("methods") or []


# ---- the pairs

class Pair:
    def __init__(self, name, group, what, bound=None):
        self.name, self.group, self.what, self.bound = name, group, what, bound
        self.old, self.new = path_of(name, "old"), path_of(name, "new")
        self.peers, self.ours, self.relation, self.methods = {}, None, "-", []

    def open(self):
        self.size = os.path.getsize(self.new)
        self.old_digest, self.new_digest = sha256(self.old), sha256(self.new)

    @property
    def best(self):
        """Name and result of the peer whose delta is the smallest."""
        return min(self.peers.items(), key=lambda item: item[1]["bytes"]) if self.peers else None

    @property
    def ratio(self):
        return self.ours["bytes"] / self.best[1]["bytes"] if self.ours and self.peers else None


def registry_of(package):
    """As npm finds it: environment, then the files, the scope's before the general one."""
    scope = package.partition("/")[0] + ":" if package.startswith("@") else None
    general = os.environ.get("npm_config_registry") or os.environ.get("NPM_CONFIG_REGISTRY")
    for path in os.environ.get("VENEER_BENCH_NPMRC", "").split(":"):
        if not os.path.isfile(path):
            continue
        with open(path) as f:
            settings = dict(re.findall(r"^\s*([^#;=\s]+)\s*=\s*(\S+)", f.read(), re.M))
        if scope and scope + "registry" in settings:
            return settings[scope + "registry"].rstrip("/")
        general = general or settings.get("registry")
    return (general or "https://registry.npmjs.org").rstrip("/")


def fetch(row):
    """Both files of a row, from the packages of its two versions. False when there is no way to the registry."""
    package = row["npm_package"]
    for which in ("old", "new"):
        path = path_of(row["name"], which)
        if os.path.exists(path) and sha256(path) == row[which + "_sha256"]:
            continue
        archive = temporary("package.tgz")
        url = "%s/%s/-/%s-%s.tgz" % (registry_of(package), package, package.rpartition("/")[2], row[which + "_version"])
        done = subprocess.run(["curl", "-fsSL", "--connect-timeout", "10", "--retry", "2", "-o", archive, url],
                              capture_output=True, text=True)
        if done.returncode:
            raise Failed("cannot fetch %s %s: %s" % (package, row[which + "_version"], done.stderr.strip()[:80]))
        with tarfile.open(archive) as tar, open(path + ".new", "wb") as out:
            shutil.copyfileobj(tar.extractfile(row[which + "_path_in_package"]), out)
        remove(archive)
        if sha256(path + ".new") != row[which + "_sha256"]:
            remove(path + ".new")
            raise Failed("%s of %s %s is another file than the list says" %
                         (row[which + "_path_in_package"], package, row[which + "_version"]))
        os.replace(path + ".new", path)


def real_pairs():
    with open(os.path.join(here, "..", "..", "testdata", "model-pairs.tsv")) as f:
        rows = [r for r in csv.DictReader(f, delimiter="\t") if is_wanted(r["name"])]
    pairs = []
    for row in rows:
        try:
            fetch(row)
        except Failed as error:
            say("  %s: skipped, %s" % (row["name"], error))
            continue
        pairs.append(Pair(row["name"], "real", row["kind"]))
    return pairs


def numpy_python():
    """The python3 that has numpy: the package serves the system's, which need not come first in PATH."""
    for python in (sys.executable, "/usr/bin/python3"):
        if subprocess.run([python, "-c", "import numpy"], capture_output=True).returncode == 0:
            return python
    return None


def synthetic_pairs():
    """Made once, and again when their generator changes."""
    generator = os.path.join(here, "pairs.py")
    stamp, listing = os.path.join(world, "synthetic", "stamp"), os.path.join(world, "synthetic", "pairs.tsv")
    digest = sha256(generator)
    if not os.path.exists(stamp) or open(stamp).read() != digest:
        python = numpy_python()
        if not python:
            say("  synthetic pairs: skipped, python3 has no numpy")
            return []
        subprocess.run([python, generator, os.path.dirname(listing)], check=True)
        with open(stamp, "w") as f:
            f.write(digest)
    pairs = []
    with open(listing) as f:
        for name, group, what, bound in csv.reader(f, delimiter="\t"):
            if is_wanted(name):
                pair = Pair(name, group, what, None if bound == "-" else int(bound))
                pair.old, pair.new = (os.path.join(world, "synthetic", "%s.%s" % (name, w)) for w in ("old", "new"))
                pairs.append(pair)
    return pairs


# ---- tables

def cell(value, form):
    return "-" if value is None else form % value


def sizes_head(title):
    say("\n%s: bytes; ratio = veneer / smallest of the others; bound = distance to the ideal code length" % title)
    say("  %-16s %8s %8s %8s %10s %8s %8s %8s %8s %6s %7s %s" % ("", "new", "gzip", "zstd", *list(PEERS)[2:], "veneer",
                                                             "ratio", "bound", "class"))


def sizes_row(p):
    bound = None if p.bound is None or not p.ours else 100 * (p.ours["bytes"] / p.bound - 1)
    columns = [cell(p.peers[x]["bytes"] if x in p.peers else None, "%d") for x in PEERS]
    say("  %-16s %8d %8s %8s %10s %8s %8s %8s %8s %6s %7s %s" %
        (p.name, p.size, *columns, cell(p.ours and p.ours["bytes"], "%d"), cell(p.ratio, "%.3f"), cell(bound, "%+.1f%%"),
         p.relation))


def costs(pairs):
    shown = ["patch-from", "xdelta3", "bsdiff"]
    say("\ncost: elapsed seconds to encode; processor seconds and peak resident MiB to decode (old and new mapped count too)")
    say("  %-16s %34s %34s %32s" % ("", "encode", "decode", "MiB"))
    say("  %-16s" % "" + " ".join("%7s" % "veneer" + "".join(" %8s" % x[:8] for x in shown) for _ in range(3)))
    for p in pairs:
        results = [p.ours] + [p.peers.get(x) for x in shown]
        line = []
        for key, form in (("encode", "%.1f"), ("decode", "%.2f"), ("kib", "%.1f")):
            values = [r and r[key] / (1024 if key == "kib" else 1) for r in results]
            line.append("%7s" % cell(values[0], form) + "".join(" %8s" % cell(v, form) for v in values[1:]))
        say("  %-16s" % p.name + " ".join(line))


def methods(pairs):
    say("\nmethods: regions and bytes of the delta")
    for p in pairs:
        if p.methods:
            say(("  %-16s %s" % (p.name, "  ".join("%s %d: %d" % (m["name"], m["regions"], m["packed"]) for m in p.methods)))[:120])


def mean(pairs):
    return math.exp(sum(math.log(p.ratio) for p in pairs) / len(pairs))


# Which pairs an aim is about, and how small their mean ratio shall be.
AIMS = [
    ("real pairs", 0.85, lambda p: p.group == "real"),
    ("fine-tunes in fp32", 0.60, lambda p: p.group == "fp32"),
    ("fine-tunes in fp16 and bf16", 0.80, lambda p: p.group == "fp16" or p.name == "pose-lite-B"),
    ("compressed npz and pickle", 0.65, lambda p: p.group == "packed"),
]


def verdict(pairs):
    say("\ngeometric mean of veneer / best other tool")
    for what, aim, belongs in AIMS:
        these = [p for p in pairs if belongs(p) and p.ratio]
        if these:
            aside = math.exp(sum(math.log(max(p.ours["bytes"] - FREE_BYTES, 1) / p.best[1]["bytes"]) for p in these) / len(these))
            say("  %-32s %.3f of %d pairs (aim: %.2f); %.3f with %d bytes of each delta aside" %
                (what, mean(these), len(these), aim, aside, FREE_BYTES))
    for p in pairs:
        if p.name == "vscode-langdet" and p.ours:
            say("  %-32s %d bytes (aim: 1000)" % ("model only exported anew as u8", p.ours["bytes"]))
    above = [p for p in pairs if p.ratio and p.ours["bytes"] > p.best[1]["bytes"] + FREE_BYTES]
    say("  %-32s %d of %d pairs (aim: none)" % ("above the best by more than %d" % FREE_BYTES, len(above),
                                                sum(p.ratio is not None for p in pairs)))
    for p in above:
        say("    %-16s %9d against %9d of %-10s %s" % (p.name, p.ours["bytes"], p.best[1]["bytes"], p.best[0], p.what))


# ---- large files, effort, memory

def heap_of(command):
    """The most that malloc had given out at a time, in bytes; None when the counter cannot be built."""
    counter = temporary("heap.so")
    if not os.path.exists(counter):
        cc = os.environ.get("CC", "gcc")
        if not shutil.which(cc) or subprocess.run([cc, "-O2", "-shared", "-fPIC", "-o", counter, os.path.join(here, "heap.c"),
                                                   "-ldl"]).returncode:
            return None
    said = temporary("heap")
    remove(said)
    measured(command, dict(os.environ, LD_PRELOAD=counter, HEAP_PEAK=said))
    with open(said) as f:
        return int(f.read())


def large():
    say("\nlarge files: fp32, all weights moved by 0.1 %; heap = most that malloc had given out, whatever the process does")
    say("  %-10s %6s %12s %10s %10s %12s %12s %10s" % ("MB", "effort", "delta", "encode s", "encode cpu", "decode MB/s", "heap MiB",
                                                      "resident"))
    generator, python = os.path.join(here, "pairs.py"), numpy_python()
    if not python:
        say("  skipped, python3 has no numpy")
        return
    for megabytes, effort in ((50, 2), (100, 2), (500, 1)):
        subprocess.run([python, generator, run_dir, "--large", str(megabytes)], check=True)
        old, new = (temporary("large-%d.%s" % (megabytes, w)) for w in ("old", "new"))
        delta, out = temporary("delta"), temporary("out")
        remove(delta, out)
        made = measured([veneer, "delta", "make", "--larger", "--effort", str(effort), "-o", delta, old, new])
        apply = [veneer, "delta", "apply", "-o", out, old, delta]
        back = best(1 if megabytes > 100 else DECODE_RUNS, apply)
        heap = heap_of(apply)
        same = sha256(out) == sha256(new)
        say("  %-10d %6d %12d %10.1f %10.1f %12.0f %12s %10.1f%s" %
            (megabytes, effort, os.path.getsize(delta), made["seconds"], made["cpu"], os.path.getsize(new) / 1e6 / back["cpu"],
             cell(heap and heap / 1048576, "%.2f"), back["kib"] / 1024, "" if same else "  NOT THE SAME"))
        remove(old, new, delta, out)
    idle = heap_of([veneer, "version"])
    say("  heap of a veneer that only tells its version, which the libraries take: %s MiB" % cell(idle and idle / 1048576, "%.2f"))
    say("  aims: 100 MB in 120 s on two cores; 100 MB/s; 4 MiB of heap, and no more for the larger file")


def efforts(pairs):
    say("\neffort: bytes, elapsed seconds to encode")
    for p in pairs:
        line = []
        for effort in (1, 2, 3):
            delta = temporary("delta")
            remove(delta)
            made = measured([veneer, "delta", "make", "--larger", "--effort", str(effort), "-o", delta, p.old, p.new])
            line.append("%d: %9d %7.1f s" % (effort, os.path.getsize(delta), made["seconds"]))
        say("  %-16s %s" % (p.name, "    ".join(line)))


def main():
    os.makedirs(os.path.join(world, "pairs"), exist_ok=True)
    cache = Cache()
    missing = sorted({t for tools, *_ in PEERS.values() for t in tools if not shutil.which(t)})
    if missing:
        say("  not installed, so left out: %s" % ", ".join(missing))
    tables = []
    for title, pairs in (("models from npm", real_pairs()), ("models made here", synthetic_pairs())):
        if pairs:
            sizes_head(title)
        for p in pairs:
            p.open()
            peers_of(p, cache)
            veneer_result(p)
            sizes_row(p)
        tables += pairs
    if not tables:
        return
    costs(tables)
    methods(tables)
    verdict(tables)
    if not quick:
        efforts([p for p in tables if p.name in ("pose-lite-B", "order") and p.ours])
        large()


main()
