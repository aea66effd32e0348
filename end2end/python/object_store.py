"""An object store of one's own that speaks S3: a server whose objects are files, so that a test can see,
age and damage them."""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from server import eventually, free_port

BUCKET = "snapshots"
PREFIX = "some/prefix"


class ObjectStore:
    def __init__(self):
        self._program = shutil.which("s3s-fs")
        if self._program is None:
            raise AssertionError("s3s-fs is missing: make setup-test installs it")
        self._directory = tempfile.TemporaryDirectory(prefix="membrane-e2e-s3-")
        self._root = Path(self._directory.name)
        self._port = free_port()
        self.key_id, self.key = secrets.token_hex(10), secrets.token_hex(20)
        (self._root / BUCKET).mkdir()
        self.start()

    def start(self) -> None:
        address = ["--host", "127.0.0.1", "--port", str(self._port)]
        keys = ["--access-key", self.key_id, "--secret-key", self.key]
        command = [self._program, *address, *keys, str(self._root)]
        quiet = {**os.environ, "RUST_LOG": "off"}
        self._process = subprocess.Popen(command, env=quiet, stdout=subprocess.DEVNULL)
        eventually("the object store listens", self._listens)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        self.kill()
        self._directory.cleanup()

    def flags(self) -> list[str]:
        return ["--blob-store", f"s3://{BUCKET}/{PREFIX}"]

    def environment(self, **others: str) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._port}",
            "AWS_ACCESS_KEY_ID": self.key_id,
            "AWS_SECRET_ACCESS_KEY": self.key,
            **others,
        }

    def objects(self, within: str = "") -> dict[str, int]:
        """Sizes of the objects whose names contain this."""
        found = {}
        for path in self._paths(within):
            try:
                found[self._name(path)] = path.stat().st_size
            except FileNotFoundError:
                pass  # Gone since it was listed.
        return found

    def age(self, seconds: float) -> None:
        """Makes all objects older."""
        written = time.time() - seconds
        for path in self._paths(""):
            os.utime(path, (written, written))

    def damage(self, within: str) -> int:
        """Changes a byte of each object whose name contains this, and says of how many."""
        paths = self._paths(within)
        for path in paths:
            contents = bytearray(path.read_bytes())
            contents[len(contents) // 2] ^= 1
            path.write_bytes(contents)
        return len(paths)

    def _paths(self, within: str) -> list[Path]:
        bucket = self._root / BUCKET
        top = bucket / PREFIX
        paths = [path for path in top.rglob("*") if path.is_file()]
        return [path for path in paths if within in self._name(path)]

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self._root / BUCKET / PREFIX))
