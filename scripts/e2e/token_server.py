#!/usr/bin/env python3
"""Token server for docker-registry: RS256 JWT, scopes cut to what the user may do.

DIR holds token.key, token.crt, users (NAME PASSWORD ACTIONS per line) and lifetime (seconds);
users and lifetime are read again for every request.
"""
import argparse
import base64
import json
import os
import secrets
import ssl
import subprocess
import sys
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# docker-registry accepts a token for this long after its "exp".
LEEWAY = 60


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Tokens:
    def __init__(self, folder):
        self.folder = folder
        with open(self.path("token.crt")) as f:
            pem = f.read()
        self.x5c = "".join(line for line in pem.splitlines() if "-----" not in line)

    def path(self, name):
        return os.path.join(self.folder, name)

    def users(self):
        with open(self.path("users")) as f:
            rows = [line.split() for line in f if line.strip()]
        return {name: (password, set(actions.split(","))) for name, password, actions in rows}

    def lifetime(self):
        with open(self.path("lifetime")) as f:
            return int(f.read())

    def issue(self, user, allowed, service, scopes):
        access = []
        for scope in scopes:
            kind, rest = scope.split(":", 1)
            name, actions = rest.rsplit(":", 1)
            granted = sorted(set(actions.split(",")) & allowed)
            if kind == "repository" and granted:
                access.append({"type": kind, "name": name, "actions": granted})
        now = int(time.time())
        lifetime = self.lifetime()
        header = {"typ": "JWT", "alg": "RS256", "x5c": [self.x5c]}
        claims = {
            "iss": "e2e", "sub": user, "aud": service, "jti": secrets.token_hex(8),
            "iat": now, "nbf": now - 300, "exp": now + lifetime - LEEWAY, "access": access,
        }
        text = b64url(json.dumps(header).encode()) + "." + b64url(json.dumps(claims).encode())
        signature = subprocess.run(
            ["openssl", "dgst", "-sha256", "-sign", self.path("token.key")],
            input=text.encode(), stdout=subprocess.PIPE, check=True).stdout
        return {
            "token": text + "." + b64url(signature),
            "expires_in": lifetime,
            "issued_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
        }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    tokens = None

    def log_message(self, fmt, *args):
        sys.stdout.write("%s %s\n" % (self.command, fmt % args))
        sys.stdout.flush()

    def reply(self, status, body, headers=()):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def answer(self, user, password, service, scopes):
        if user is None:
            allowed = set()
        else:
            known = self.tokens.users().get(user)
            if known is None or known[0] != password:
                self.reply(401, {"errors": [{"code": "UNAUTHORIZED", "message": "incorrect username or password"}]})
                return
            allowed = known[1]
        self.reply(200, self.tokens.issue(user or "", allowed, service, scopes))

    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        user = password = None
        auth = self.headers.get("Authorization", "")
        if auth.lower().startswith("basic "):
            user, _, password = base64.b64decode(auth[6:]).decode().partition(":")
        scopes = [s for value in query.get("scope", []) for s in value.split(" ") if s]
        self.answer(user, password, query.get("service", ["e2e"])[0], scopes)

    def do_POST(self):
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
        if form.get("grant_type") != ["password"]:
            self.reply(400, {"error": "unsupported_grant_type"})
            return
        scopes = [s for value in form.get("scope", []) for s in value.split(" ") if s]
        self.answer(form.get("username", [""])[0], form.get("password", [""])[0],
                    form.get("service", ["e2e"])[0], scopes)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--dir", required=True)
    parser.add_argument("--cert")
    parser.add_argument("--key")
    args = parser.parse_args()
    Handler.tokens = Tokens(args.dir)
    server = ThreadingHTTPServer(("127.0.0.1", args.port), Handler)
    if args.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(args.cert, args.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


main()
