#!/usr/bin/env python3
"""cut_proxy.py --to HOST:PORT --dir DIR: passes TCP connections on, and cuts them as DIR's files say.

DIR/port   written at the start: where it listens, on 127.0.0.1
DIR/limit  "N": after N more bytes to clients all connections are cut, once, and the file goes
           "each N": every connection is cut after N bytes to its client
DIR/how    "fin" or "rst" [fin]
DIR/log    a line for each connection: bytes to the client, bytes from it, "cut" or "closed"
"""
import argparse
import os
import select
import socket
import struct
import threading

SMALL = 8192                    # of buffers towards the client: hardly more is on its way than it has read

parser = argparse.ArgumentParser()
parser.add_argument("--to", required=True)
parser.add_argument("--dir", required=True)
args = parser.parse_args()
host, _, port = args.to.rpartition(":")
lock = threading.Lock()
generation = 0                  # grows when all connections are cut


def read(name):
    try:
        with open(os.path.join(args.dir, name)) as f:
            return f.read().split()
    except OSError:
        return []


class Allowance:
    """What the limit leaves, and to whom."""
    def __init__(self):
        self.stamp, self.each, self.left = None, False, None

    def look(self):
        path = os.path.join(args.dir, "limit")
        try:
            stamp = os.stat(path).st_mtime_ns
        except OSError:
            stamp = None
        if stamp != self.stamp:
            self.stamp = stamp
            words = read("limit")
            self.each = words[:1] == ["each"]
            self.left = int(words[-1]) if words else None

    def take(self, wanted, passed):
        """How many of the wanted bytes may go, and whether that is the end of this connection."""
        global generation
        with lock:
            self.look()
            if self.left is None:
                return wanted, False
            if self.each:
                n = min(wanted, max(self.left - passed, 0))
                return n, passed + n >= self.left
            n = min(wanted, self.left)
            self.left -= n
            if self.left:
                return n, False
            generation += 1
            os.unlink(os.path.join(args.dir, "limit"))
            self.stamp = self.left = None
            return n, True


allowance = Allowance()


def serve(client):
    server = socket.create_connection((host, int(port)))
    mine, down, up, cut = generation, 0, 0, False
    try:
        while not cut:
            ready = select.select([client, server], [], [], 0.05)[0]
            if mine != generation:
                cut = True
                break
            if client in ready:
                data = client.recv(65536)
                if not data:
                    break
                server.sendall(data)
                up += len(data)
            if server in ready:
                data = server.recv(4096)
                if not data:
                    break
                n, cut = allowance.take(len(data), down)
                client.sendall(data[:n])
                down += n
    except OSError:
        pass
    if cut and read("how") == ["rst"]:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    server.close()
    with lock, open(os.path.join(args.dir, "log"), "a") as f:
        f.write("%d %d %s\n" % (down, up, "cut" if cut else "closed"))


listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
listener.bind(("127.0.0.1", 0))
listener.listen(64)
with open(os.path.join(args.dir, "port.new"), "w") as f:
    f.write("%d\n" % listener.getsockname()[1])
os.rename(os.path.join(args.dir, "port.new"), os.path.join(args.dir, "port"))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
