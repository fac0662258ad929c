#!/usr/bin/env python3
"""A registry on a bad day: serves an OCI layout, read-only, and spoils what a control file names.

usage: hostile.py [--tls CERT KEY] [--auth] [--port-file FILE] LAYOUT CONTROL LOG
       hostile.py --selftest

LAYOUT is an OCI image layout; any repository name leads to it, tags are its org.opencontainers.image.ref.name. There are two
listeners on 127.0.0.1: the registry, and a storage host that redirects lead to; their ports are the two words of FILE.
--auth: requests need "Authorization: Bearer" with a token that /token gave. LOG gets a line of JSON for each request.

CONTROL is read anew for each request; every line is "METHOD PATH MODE [ARGUMENT...] [times=N]". The first line whose METHOD
and PATH (as fnmatch has them, without the query) fit and whose times are not used up counts; a changed file counts anew.

  cut N              the connection ends after N bytes of the body
  reset N            it is reset after N bytes of the body
  whole              200 and everything, whatever range was asked for
  range N            206, but Content-Range and bytes begin N later (earlier: negative) than asked
  flip N             byte N of the body has another lowest bit
  length N           Content-Length is N more (less: negative) than there is
  tokens             every token that was given is worth nothing from now on (--auth)
  busy STATUS [N]    429 or 503 with Retry-After in seconds
  busy STATUS date N Retry-After as a date, N seconds from now
  status STATUS      that, with a JSON error
  redirect           307 to the storage host
  expired            307 to the storage host, which says 403 to the link
  drip N head|body   a byte each N seconds
  portal             200 and a page for people
  login              302 to a page for people on the storage host
  silent             no answer at all
"""
import argparse
import fnmatch
import hashlib
import http.client
import json
import os
import re
import socket
import ssl
import struct
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = b"<!DOCTYPE html><html><title>Welcome</title>Please accept our terms.</html>\n"
NAME = "org.opencontainers.image.ref.name"


class World:
    def __init__(self, layout, control, log, auth):
        self.layout, self.control, self.log, self.auth = layout, control, log, auth
        self.lock = threading.Lock()
        self.stamp, self.used, self.tokens, self.links = None, {}, set(), {}
        self.scheme, self.registry, self.storage = "http", 0, 0

    def mode(self, what):
        """The words of the line that fits, without its GLOB."""
        with self.lock:
            with open(self.control, encoding="utf-8") as f:
                lines = [line.split() for line in f if line.strip() and not line.startswith("#")]
            if lines != self.stamp:
                self.stamp, self.used = lines, {}
            for n, line in enumerate(lines):
                glob, words = " ".join(line[:2]), line[2:]
                times = next((int(w[6:]) for w in words if w.startswith("times=")), None)
                if not fnmatch.fnmatchcase(what, glob) or (times is not None and self.used.get(n, 0) >= times):
                    continue
                self.used[n] = self.used.get(n, 0) + 1
                return [w for w in words if not w.startswith("times=")]
        return []

    def note(self, **facts):
        with self.lock, open(self.log, "a", encoding="utf-8") as f:
            f.write(json.dumps(facts) + "\n")

    def blob(self, digest):
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
            return None
        try:
            with open(os.path.join(self.layout, "blobs", *digest.split(":")), "rb") as f:
                return f.read()
        except OSError:
            return None

    def manifest(self, reference):
        """Bytes, media type and digest of what a tag or digest names."""
        with open(os.path.join(self.layout, "index.json"), "rb") as f:
            for entry in json.load(f)["manifests"]:
                if reference in (entry["digest"], entry.get("annotations", {}).get(NAME)):
                    return self.blob(entry["digest"]), entry["mediaType"], entry["digest"]
        data = self.blob(reference)
        try:
            return data, json.loads(data or b"")["mediaType"], reference
        except (ValueError, KeyError, TypeError):
            return None, "", ""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    world = None

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = urllib.parse.urlsplit(self.path).path
        home = self.server.server_port == self.world.registry
        self.mode = self.world.mode(f"{self.command} {path}") if home else []
        try:
            (self.from_registry if home else self.from_storage)(path)
        except OSError:
            self.close_connection = True

    def note(self, status):
        host = "registry" if self.server.server_port == self.world.registry else "storage"
        self.world.note(host=host, method=self.command, path=urllib.parse.urlsplit(self.path).path, status=status,
                        range=self.headers.get("Range"), authorization="Authorization" in self.headers,
                        mode=" ".join(self.mode))

    # ---- the two hosts

    def from_registry(self, path):
        kind, words = (self.mode or ["fine"])[0], self.mode[1:]
        if kind == "tokens":
            self.world.tokens.clear()
        if kind == "silent":
            self.note(0)
            self.connection.settimeout(3600)
            self.rfile.read(1)
            self.close_connection = True
        elif kind == "portal":
            self.answer(200, PAGE, {"Content-Type": "text/html"})
        elif kind == "login":
            self.answer(302, b"", {"Location": self.at(self.world.storage, "/login")})
        elif kind == "busy":
            seconds = int(words[-1]) if len(words) > 1 else None
            when = formatdate(time.time() + seconds, usegmt=True) if "date" in words else str(seconds)
            self.refuse(int(words[0]), "TOOMANYREQUESTS", {"Retry-After": when} if seconds is not None else {})
        elif kind == "status":
            self.refuse(int(words[0]), "UNKNOWN")
        elif path == "/token":
            self.give_token()
        elif self.world.auth and self.headers.get("Authorization", "")[7:] not in self.world.tokens:
            ask = f'Bearer realm="{self.at(self.world.registry, "/token")}",service="hostile"'
            self.refuse(401, "UNAUTHORIZED", {"WWW-Authenticate": ask})
        else:
            self.content(path, kind)

    def content(self, path, kind):
        found = re.fullmatch(r"/v2/(.+)/(manifests|blobs)/([^/]+)", path)
        data, headers = None, {"Content-Type": "application/octet-stream"}
        if path == "/v2/":
            data, headers = b"{}", {"Content-Type": "application/json"}
        elif found and found[2] == "blobs":
            data = self.world.blob(found[3])
        elif found:
            data, headers["Content-Type"], headers["Docker-Content-Digest"] = self.world.manifest(found[3])
        if data is None:
            self.refuse(404, "MANIFEST_UNKNOWN" if found and found[2] == "manifests" else "BLOB_UNKNOWN")
        elif kind in ("redirect", "expired"):
            link = f"/{kind}/{len(self.world.links)}"
            self.world.links[link] = data
            self.answer(307, b"", {"Location": self.at(self.world.storage, link) + "?sig=secret"})
        elif found and found[2] == "blobs":
            self.ranged(data, headers, kind)
        else:
            self.answer(200, data, headers)

    def from_storage(self, path):
        if path == "/login":
            self.answer(200, PAGE, {"Content-Type": "text/html"})
        elif path.startswith("/expired/"):
            self.answer(403, b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>",
                        {"Content-Type": "application/xml"})
        elif path in self.world.links:
            self.ranged(self.world.links[path], {"Content-Type": "application/octet-stream"}, "")
        else:
            self.refuse(404, "UNKNOWN")

    # ---- answers

    def at(self, port, path):
        return f"{self.world.scheme}://127.0.0.1:{port}{path}"

    def give_token(self):
        token = f"token-{len(self.world.tokens)}-{time.monotonic_ns()}"
        self.world.tokens.add(token)
        self.answer(200, json.dumps({"token": token, "expires_in": 300}).encode(), {"Content-Type": "application/json"})

    def refuse(self, status, code, headers=None):
        body = json.dumps({"errors": [{"code": code, "message": "as the control file wants it"}]}).encode()
        self.answer(status, body, {"Content-Type": "application/json", **(headers or {})})

    def ranged(self, data, headers, kind):
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if not asked or kind == "whole":
            return self.answer(200, data, headers)
        first = int(asked[1]) + (int(self.mode[1]) if kind == "range" else 0)
        last = min(int(asked[2] or len(data)), len(data) - 1)
        if not 0 <= first <= last:
            return self.answer(416, b"", {"Content-Range": f"bytes */{len(data)}"})
        headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        return self.answer(206, data[first:last + 1], headers)

    def answer(self, status, body, headers):
        kind, words = (self.mode or ["fine"])[0], self.mode[1:]
        self.note(status)
        length = len(body) + (int(words[0]) if kind == "length" else 0)
        headers = {"Date": formatdate(usegmt=True), "Content-Length": length, **headers}
        head = f"HTTP/1.1 {status} {self.responses[status][0]}\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n"
        slow = words[1] if kind == "drip" else ""
        self.send(head.encode(), float(words[0]) if slow == "head" else 0)
        if self.command == "HEAD":
            return
        if kind == "flip":
            body = body[:int(words[0])] + bytes([body[int(words[0])] ^ 1]) + body[int(words[0]) + 1:]
        if kind in ("cut", "reset"):
            body = body[:int(words[0])]
        self.send(body[:length], float(words[0]) if slow == "body" else 0)
        if kind == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if kind in ("cut", "reset", "length"):
            self.close_connection = True

    def send(self, data, pause):
        if not pause:
            self.wfile.write(data)
            return
        for byte in data:
            self.wfile.write(bytes([byte]))
            time.sleep(pause)


def serve(world, tls=None):
    """Starts both listeners; their threads end with the program."""
    class Here(Handler):
        pass
    Here.world = world
    for name in ("registry", "storage"):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Here)
        server.daemon_threads = True
        if tls:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*tls)
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            world.scheme = "https"
        setattr(world, name, server.server_port)
        threading.Thread(target=server.serve_forever, daemon=True).start()


# ---- selftest

def selftest(folder):
    blob, name, failed = bytes(range(256)), "GET /v2/*/blobs/*", 0
    manifest = json.dumps({"schemaVersion": 2, "mediaType": "x/y", "layers": []}).encode()
    digest, named = ("sha256:" + hashlib.sha256(data).hexdigest() for data in (blob, manifest))
    os.makedirs(os.path.join(folder, "blobs", "sha256"))
    for file, data in (digest, blob), (named, manifest):
        with open(os.path.join(folder, "blobs", "sha256", file[7:]), "wb") as f:
            f.write(data)
    with open(os.path.join(folder, "index.json"), "w", encoding="utf-8") as f:
        json.dump({"manifests": [{"digest": named, "mediaType": "x/y", "annotations": {NAME: "1"}}]}, f)
    world = World(folder, os.path.join(folder, "control"), os.path.join(folder, "log"), False)
    serve(world)
    path = f"/v2/a/b/blobs/{digest}"
    for line, path, want in (
            ("", "/v2/a/manifests/1", lambda s, b, h: b == manifest and h["Docker-Content-Digest"] == named),
            ("", f"/v2/a/manifests/{named}", lambda s, b, h: b == manifest and h["Content-Type"] == "x/y"),
            ("", "/v2/a/manifests/2", lambda s, b, h: s == 404),
            ("", path, lambda s, b, h: s == 206 and b == blob[100:]),
            (f"{name} whole", path, lambda s, b, h: s == 200 and b == blob),
            (f"{name} range -1", path, lambda s, b, h: h["Content-Range"] == "bytes 99-255/256"),
            (f"{name} cut 5", path, lambda s, b, h: s == 0),
            (f"{name} reset 5", path, lambda s, b, h: s == 0),
            (f"{name} flip 2", path, lambda s, b, h: b[:2] + b[3:] == blob[100:102] + blob[103:] and b[2] == blob[102] ^ 1),
            (f"{name} length 5", path, lambda s, b, h: s == 0),
            (f"{name} length -5", path, lambda s, b, h: b == blob[100:-5]),
            ("GET /v2/*/manifests/* cut 1", path, lambda s, b, h: b == blob[100:]),
            (f"{name} busy 429 7", path, lambda s, b, h: s == 429 and h["Retry-After"] == "7"),
            (f"{name} busy 503 date 7", path, lambda s, b, h: s == 503 and h["Retry-After"].endswith("GMT")),
            (f"{name} redirect", path, lambda s, b, h: b == blob[100:]),
            (f"{name} expired", path, lambda s, b, h: s == 403),
            (f"{name} cut 0 times=0", path, lambda s, b, h: b == blob[100:]),
            ("* * portal", path, lambda s, b, h: s == 200 and b == PAGE),
            ("GET * login", path, lambda s, b, h: s == 200 and b == PAGE),
            (f"{name} drip 0.001 body", path, lambda s, b, h: b == blob[100:])):
        with open(world.control, "w", encoding="utf-8") as f:
            f.write(line + "\n")
        request = urllib.request.Request(f"http://127.0.0.1:{world.registry}{path}", headers={"Range": "bytes=100-"})
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as r:
                status, body, headers = r.status, r.read(), r.headers
        except urllib.error.HTTPError as e:
            status, body, headers = e.code, e.read(), e.headers
        except (OSError, http.client.HTTPException) as e:
            status, body, headers = 0, repr(e).encode(), {}
        good = want(status, body, headers)
        failed += not good
        print(f"ok - {line or path}" if good else f"not ok - {line or path}: {status} {body[:60]!r}")
    return failed


def main():
    if sys.argv[1:] == ["--selftest"]:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            sys.exit(1 if selftest(folder) else 0)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    parser.add_argument("--auth", action="store_true")
    parser.add_argument("--port-file", metavar="FILE")
    for name in ("layout", "control", "log"):
        parser.add_argument(name)
    args = parser.parse_args()
    world = World(args.layout, args.control, args.log, args.auth)
    open(args.log, "a", encoding="utf-8").close()
    serve(world, args.tls)
    if args.port_file:
        with open(args.port_file + ".new", "w", encoding="utf-8") as f:
            f.write(f"{world.registry} {world.storage}\n")
        os.rename(args.port_file + ".new", args.port_file)
    else:
        print(world.registry, world.storage, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
