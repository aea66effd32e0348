"""All that is running: a PostgreSQL and an object store, two servers that share them, and a runner for
each of these."""

import os
import shutil
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path

import network
import wire
from object_store import ObjectStore
from postgres import Postgres
from runner_test import Runner
from server import Server, free_port
from work import new_workspace

NAMES = ["first", "second"]
CAPACITY = 4
WORKSPACES = 4


class CutOffRunner(Runner):
    """A runner inside a network that can be cut, which knows its server by an address of that."""

    def __init__(self, wires: network.Network, server: "Door", token: str, *flags: str):
        self.network = wires
        super().__init__(server, token, *flags)

    def start(self) -> None:
        with open(self.work_dir / "log", "ab") as log:
            command = [*self.network.enter(), *self.command]
            self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)


class Door:
    """Another address of a server, which is for runners."""

    def __init__(self, host: str):
        self.address = f"{host}:{free_port()}"
        self.url = f"http://{self.address}"


class Fleet:
    def __init__(self, cleanup: ExitStack):
        self.postgres = Postgres()
        cleanup.callback(self.postgres.stop)
        self.store = ObjectStore()
        cleanup.callback(self.store.stop)
        self.network, self.no_network = network.make()
        if self.network:
            cleanup.callback(self.network.remove)
        door = Door(network.OUTSIDE) if self.network else None
        flags = [*self.postgres.flags(), *self.store.flags()]
        first = Server(*flags, environment=self.store.environment())
        cleanup.callback(first.stop)
        second = Server(*(["--runner-listen", door.address] if door else []), beside=first)
        cleanup.callback(second.stop)
        self.servers = dict(zip(NAMES, [first, second]))
        self.clients = [first.client(), second.client()]
        self.workspaces = [
            new_workspace(self.clients[0], f"soak {number}").id for number in range(WORKSPACES)
        ]
        self.runners = {name: self._runner(name, door) for name in NAMES}
        for runner in self.runners.values():
            cleanup.callback(runner.stop)
        cleanup.callback(self.wake)

    def _runner(self, name: str, door: Door | None) -> Runner:
        request = wire.run.CreateRunnerTokenRequest(name=name)
        token = self.clients[0].runs.CreateRunnerToken(request, timeout=20).secret
        flags = ["--capacity", str(CAPACITY), "--name", name]
        if door and name == NAMES[-1]:
            return CutOffRunner(self.network, door, token, *flags)
        return Runner(self.servers[name], token, *flags)

    def wake(self) -> None:
        """Lets whoever was held up go on, so that it can be stopped."""
        programs = [*self.servers.values(), *self.runners.values()]
        for program in programs:
            program.process.send_signal(signal.SIGCONT)
        signal_database(self.postgres, signal.SIGCONT)

    def touched_by(self, target) -> set[str]:
        """The runners whose work suffers when something is done to this."""
        for name in NAMES:
            runner = self.runners[name]
            wires = getattr(runner, "network", None)
            if target in (self.servers[name], runner) or target is wires:
                return {name}
        return set(NAMES)

    def name_of(self, target) -> str:
        touched = self.touched_by(target)
        return "both" if len(touched) > 1 else next(iter(touched))

    def logs(self) -> dict[str, Path]:
        servers = {f"server-{name}": one.data / "serve.log" for name, one in self.servers.items()}
        runners = {f"runner-{name}": one.work_dir / "log" for name, one in self.runners.items()}
        return servers | runners | {"postgres": self.postgres.socket / "server.log"}

    def keep_logs(self, directory: Path) -> None:
        for name, log in self.logs().items():
            shutil.copyfile(log, directory / f"soak-{name}.log")


def signal_database(postgres: Postgres, signum: signal.Signals) -> None:
    """Sends a signal to every process of a PostgreSQL: each backend is one."""
    postmaster = (postgres.socket / "data" / "postmaster.pid").read_text().split()[0]
    children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
    for process in [postmaster, *children]:
        try:
            os.kill(int(process), signum)
        except ProcessLookupError:
            pass  # A backend whose client went away.
