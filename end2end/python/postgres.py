"""A PostgreSQL server of one's own, and what servers of ours need to share a database in it."""

import subprocess
import tempfile
import uuid
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[1] / "setup" / "postgres.sh"
# Not a secret: the keys of servers that live for a test.
KEYS = "1:bWVtYnJhbmUgaW4gYSB0ZXN0LCBub3QgYSBzZWNyZXQ="


class Postgres:
    def __init__(self):
        say_where = ["sh", "-c", 'echo "$TEST_POSTGRES"; exec cat >/dev/null']
        self._process = subprocess.Popen(
            [str(SCRIPT), *say_where],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.socket = Path(self._process.stdout.readline().strip())
        self._keys = tempfile.NamedTemporaryFile("w", prefix="membrane-e2e-keys-")
        self._keys.write(KEYS)
        self._keys.flush()

    def flags(self) -> list[str]:
        """With these servers share a new database."""
        name = f"test_{uuid.uuid4().hex}"
        self.query(f"CREATE DATABASE {name}")
        url = f"postgres://membrane@localhost/{name}?host={self.socket}"
        return ["--database-url", url, "--master-keys-file", self._keys.name]

    def query(self, statement: str) -> None:
        command = ["psql", "--host", str(self.socket), "--username", "membrane", "--quiet"]
        subprocess.run([*command, "--dbname", "postgres", "--command", statement], check=True)

    def control(self, *arguments: str) -> None:
        subprocess.run([str(self.socket / "control"), *arguments], check=True)

    def stop(self) -> None:
        self._process.stdin.close()
        self._process.wait(30)
        self._keys.close()


class WithPostgres:
    """Makes each test of a case whose servers have `flags` use a new database in PostgreSQL."""

    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres()

    def setUp(self):
        self.flags = tuple(self.postgres.flags())
        super().setUp()

    @classmethod
    def tearDownClass(cls):
        cls.postgres.stop()
