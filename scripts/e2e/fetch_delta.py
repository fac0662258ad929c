"""A device that looks for news: fetch_delta.py [--ca FILE] [--wait] URL NAME TAG SOURCE OUT

URL is the registry, NAME the repository, TAG the channel that the device follows, SOURCE the digest of the image manifest that
it runs. Over one TLS 1.3 connection: a HEAD of TAG says what the target is; when it is not SOURCE, a GET of the tag that
source and target make (veneer-delta(5)) fetches the delta, into OUT. Only those headers are sent that the registry needs.

--wait: the work is done once for each line of standard input, "full" with a new TLS session and "resumed" with the one before,
until "end"; after each, a line on standard output tells what happened.
"""
import argparse
import hashlib
import socket
import ssl
import struct
import sys
from urllib.parse import urlsplit

TYPES = "application/vnd.oci.image.manifest.v1+json,application/vnd.docker.distribution.manifest.v2+json"
TLSEXT_PADDING = 0x10  # SSL_OP_TLSEXT_PADDING: a ClientHello of 256 to 511 bytes grows to 512, for servers of 2013
SERVER_NAME = "registry.example.com"
LARGEST = 4 << 20


def delta_tag(source, target):
    return "delta-" + hashlib.sha256(f"{source}\n{target}".encode()).hexdigest()[:32]


class Connection:
    """TLS over a socket by way of memory, so that the end of the handshake and the first request leave in one frame."""

    def __init__(self, context, host, port, session):
        self.socket = socket.create_connection((host, port))
        self.arrived, self.leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.arrived, self.leaving, server_hostname=SERVER_NAME, session=session)
        self.until_done(self.tls.do_handshake)

    def until_done(self, step, *arguments):
        while True:
            try:
                return step(*arguments)
            except ssl.SSLWantReadError:
                self.flush()
                data = self.socket.recv(65536)
                if not data:
                    sys.exit("the registry closed the connection")
                self.arrived.write(data)

    def flush(self):
        if self.leaving.pending:
            self.socket.sendall(self.leaving.read())

    def close(self):
        """All is said and read: a reset is one frame, an orderly end four."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def ask(self, method, path):
        self.until_done(self.tls.write, f"{method} {path} HTTP/1.1\r\nHost: {SERVER_NAME}\r\nAccept: {TYPES}\r\n\r\n".encode())
        self.flush()
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.until_done(self.tls.read, 65536)
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        length = int(headers["content-length"])
        if length > LARGEST:
            sys.exit(f"{path} is too large: {length} bytes")
        while method != "HEAD" and len(body) < length:
            body += self.until_done(self.tls.read, 65536)
        return int(lines[0].split()[1]), headers, body


def look(args, context, session):
    url = urlsplit(args.url)
    connection = Connection(context, url.hostname, url.port, session)
    status, headers, _ = connection.ask("HEAD", f"/v2/{args.name}/manifests/{args.tag}")
    if status != 200:
        sys.exit(f"HEAD of {args.tag}: {status}")
    target = headers["docker-content-digest"]
    said = "no news"
    if target != args.source:
        tag = delta_tag(args.source, target)
        status, headers, body = connection.ask("GET", f"/v2/{args.name}/manifests/{tag}")
        said = f"{tag} {status} {len(body)}"
        if status == 200:
            with open(args.out, "wb") as f:
                f.write(body)
    said += " resumed" if connection.tls.session_reused else " full"
    said += " " + connection.tls.version()
    session = connection.tls.session
    connection.close()
    return said, session


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ca")
    parser.add_argument("--wait", action="store_true")
    for name in ("url", "name", "tag", "source", "out"):
        parser.add_argument(name)
    args = parser.parse_args()
    context = ssl.create_default_context(cafile=args.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.options &= ~TLSEXT_PADDING
    if not args.wait:
        print(look(args, context, None)[0])
        return
    session = None
    for line in sys.stdin:
        if line.strip() == "end":
            break
        said, session = look(args, context, session if line.strip() == "resumed" else None)
        print(said, flush=True)


if __name__ == "__main__":
    main()
