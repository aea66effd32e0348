"""A server of one's own: the real binary in a temporary directory, on a port that stays the same
when it is killed and started again."""

import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from wire import Client

PROGRAM = os.environ["E2E_MEMBRANE"]


class Server:
    def __init__(
        self,
        *flags: str,
        beside: "Server | None" = None,
        environment: dict[str, str] | None = None,
    ):
        """With flags and variables of one's own; beside a server whose database and workspaces it
        shares."""
        self._directory = tempfile.TemporaryDirectory(prefix="membrane-e2e-")
        self.data = Path(self._directory.name)
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.address}"
        if beside is not None:
            flags = (*beside._flags, *flags, "--workspace-root", str(beside.data / "workspaces"))
            environment = beside.environment
        self._flags = flags
        self.environment = environment or {}
        self._clients: list[Client] = []
        self.process: subprocess.Popen | None = None
        self.start()
        self.token = beside.token if beside else self.command("token", "create", "end2end")

    def start(self) -> None:
        arguments = [PROGRAM, "serve", "--data-dir", str(self.data), "--listen", self.address]
        if "--embedded-runner" not in self._flags:
            arguments += ["--embedded-runner", "false"]
        with open(self.data / "serve.log", "ab") as log:
            self.process = subprocess.Popen(
                [*arguments, *self._flags], stdout=log, stderr=log, env=self._environment()
            )
        eventually("the server is healthy", self.is_healthy)

    def is_healthy(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.log()}")
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def kill(self) -> None:
        """As a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        for client in self._clients:
            client.close()
        self.terminate()
        try:
            self.process.wait(30)
            log = (self.data / "serve.log").read_text(errors="replace")
            assert "panicked at" not in log, f"the server has panicked:\n{log[-4000:]}"
        finally:
            self.process.kill()
            self._directory.cleanup()

    def client(self, token: str | None = None) -> Client:
        client = Client(self.address, self.token if token is None else token)
        self._clients.append(client)
        return client

    def command(self, *arguments: str) -> str:
        """What the program prints when it is called beside the server."""
        command = [PROGRAM, *arguments, "--data-dir", str(self.data), "--listen", self.address]
        command += self._flags
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, env=self._environment()
        )
        if done.returncode != 0:
            raise AssertionError(f"{command} ended with {done.returncode}: {done.stderr}")
        return done.stdout.strip()

    def peak_of_memory(self, reset: bool = False) -> int:
        """The most bytes of memory that the server had since the last reset. After a reset that is
        what it has now."""
        process = Path(f"/proc/{self.process.pid}")
        if reset:
            (process / "clear_refs").write_text("5")
        lines = (process / "status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) << 10

    def _environment(self) -> dict[str, str]:
        return {**os.environ, **self.environment}

    def log(self) -> str:
        return (self.data / "serve.log").read_text(errors="replace")[-4000:]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def eventually(what: str, condition, seconds: float = 30):
    """Asks until the answer is true, and returns it."""
    deadline = time.monotonic() + seconds
    while True:
        if answer := condition():
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"gave up waiting until {what}")
        time.sleep(0.02)


def processes_with(marker: str) -> list[str]:
    """Command lines of living processes that contain a marker."""
    return list(_marked(marker).values())


def kill_processes_with(marker: str) -> None:
    for process in _marked(marker):
        os.kill(process, signal.SIGKILL)


def _marked(marker: str) -> dict[int, str]:
    found = {}
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            line = (directory / "cmdline").read_bytes()
        except OSError:
            continue
        if marker.encode() in line:
            found[int(directory.name)] = line.replace(b"\0", b" ").decode(errors="replace")
    return found
