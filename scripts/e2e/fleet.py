#!/usr/bin/env python3
"""fleet.py [--splay SECONDS] [--together N] DEVICES COMMAND...: runs COMMAND for each device, "{}" being its number from 1 on.

All at the start, or each at an instant of its own within the splay; of those that are due at most N are processes at the same
time. Prints: failed, seconds from the first start to the last end, and of the time that a device took from the instant at which
it was due: median, 99 of 100, most."""
import argparse
import random
import subprocess
import threading
import time

parser = argparse.ArgumentParser()
parser.add_argument("--splay", type=float, default=0)
parser.add_argument("--together", type=int, default=100)
parser.add_argument("devices", type=int)
parser.add_argument("command", nargs=argparse.REMAINDER)
args = parser.parse_args()
rng = random.Random(1)
due = sorted((rng.uniform(0, args.splay), i) for i in range(1, args.devices + 1))
free = threading.Semaphore(args.together)
lock = threading.Lock()
took, failed = [], 0


def wait_for(process, instant):
    global failed
    status = process.wait()
    free.release()
    with lock:
        took.append(time.monotonic() - instant)
        failed += status != 0


began = time.monotonic()
threads = []
for offset, number in due:
    time.sleep(max(0, began + offset - time.monotonic()))
    free.acquire()
    process = subprocess.Popen([w.replace("{}", str(number)) for w in args.command], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    threads.append(threading.Thread(target=wait_for, args=(process, began + offset)))
    threads[-1].start()
for thread in threads:
    thread.join()
seconds = time.monotonic() - began
took.sort()
print("%d %.2f %.3f %.3f %.3f" % (failed, seconds, took[len(took) // 2], took[len(took) * 99 // 100], took[-1]))
