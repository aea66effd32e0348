"""A network namespace with one wire to here, which can be cut: a runner in it loses its server without
either of them being told, as when a cable is pulled."""

import os
import subprocess

# Of the block that is set aside for trying networks, so it is nobody's.
OUTSIDE, INSIDE, PREFIX = "198.18.77.1", "198.18.77.2", 30


class Network:
    def __init__(self):
        self.name = f"membrane-soak-{os.getpid()}"
        self._end = f"soak{os.getpid()}"
        self._inner_end = f"{self._end}i"
        _ip("netns", "add", self.name)
        try:
            self._connect()
        except subprocess.CalledProcessError:
            self.remove()
            raise

    def _connect(self) -> None:
        peer = ["peer", "name", self._inner_end, "netns", self.name]
        _ip("link", "add", self._end, "type", "veth", *peer)
        _ip("addr", "add", f"{OUTSIDE}/{PREFIX}", "dev", self._end)
        _ip("link", "set", self._end, "up")
        self._inside("addr", "add", f"{INSIDE}/{PREFIX}", "dev", self._inner_end)
        self._inside("link", "set", "lo", "up")
        self.mend()

    def enter(self) -> list[str]:
        """What to put before a command that is to run inside."""
        return ["nsenter", f"--net=/run/netns/{self.name}"]

    def cut(self) -> None:
        self._inside("link", "set", self._inner_end, "down")

    def mend(self) -> None:
        self._inside("link", "set", self._inner_end, "up")

    def remove(self) -> None:
        """Takes the wire away as well."""
        _ip("netns", "del", self.name)

    def _inside(self, *arguments: str) -> None:
        _ip("-netns", self.name, *arguments)


def make() -> tuple[Network | None, str]:
    """A network, or why there can be none."""
    if os.geteuid() != 0:
        return None, "only root may make network namespaces"
    try:
        return Network(), ""
    except FileNotFoundError:
        return None, "the program ip is missing"
    except subprocess.CalledProcessError as error:
        return None, error.stderr.strip()


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
