"""Small archives, and a server for them."""

from __future__ import annotations

import hashlib
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

from nas_incep.datasets.download import Archive
from nas_incep.datasets.registry import OfficialFile

FILES = {"data_batch_1.bin": b"first" * 1000, "test_batch.bin": b"second" * 1000}
SHA1 = {name: hashlib.sha1(content).hexdigest() for name, content in FILES.items()}
OFFICIAL = {name: OfficialFile(len(content), SHA1[name]) for name, content in FILES.items()}
NAME = "small.tar.gz"


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder; some names in the address ask for misbehavior."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        first_time = self.server.asked.count(self.path) == 1
        if self.path.startswith("/busy/") or (self.path.startswith("/busy-once/") and first_time):
            self.send_error(503)
        elif self.path.startswith("/short/"):
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"x" * 10)
        else:
            self.path = "/" + self.path.rsplit("/", 1)[-1]
            super().do_GET()

    def log_message(self, *args: object) -> None:
        pass


def archive(*bases: str, name: str = NAME) -> Archive:
    return Archive("CIFAR-10", name, bases, OFFICIAL)


def contents(folder: Path) -> dict[str, bytes]:
    """All that lies in a folder, hidden or not."""
    if not folder.exists():
        return {}
    return {path.name: path.read_bytes() for path in folder.iterdir()}
