"""What is done to the fleet: one fault at a time, healed before the next, chosen by a generator whose
seed repeats the choice."""

import random
import signal
import time
from dataclasses import dataclass, field
from typing import Callable

from fleet import Fleet, signal_database
from worker import Worker

# Seconds between the end of a fault and the next.
PAUSES = (3, 8)
# Seconds that a fault lasts. A lease is lost after 30 without a heartbeat.
DOWN = (0.5, 8)
SERVER_HELD = (25, 40)
RUNNER_HELD = (34, 45)
DATABASE_HELD = (3, 15)
CUT_OFF = (8, 45)
MOMENT = (0, 0)


@dataclass(frozen=True)
class Kind:
    """A sort of fault, and how it is undone."""

    name: str
    seconds: tuple[float, float]
    targets: list
    inflict: Callable
    heal: Callable


@dataclass
class Fault:
    kind: str
    target: str
    touched: set[str]
    began: float = field(default_factory=time.time)
    ended: float = float("inf")


def kinds(fleet: Fleet) -> list[Kind]:
    servers, runners = list(fleet.servers.values()), list(fleet.runners.values())
    database = [fleet.postgres]
    restart = lambda one: one.control("--mode", "immediate", "restart")  # noqa: E731
    kill, start = (lambda one: one.kill()), (lambda one: one.start())
    hold, let_go = _signal(signal.SIGSTOP), _signal(signal.SIGCONT)
    known = [
        Kind("server killed", DOWN, servers, kill, start),
        Kind("server held up", SERVER_HELD, servers, hold, let_go),
        Kind("runner killed", DOWN, runners, kill, start),
        Kind("runner held up", RUNNER_HELD, runners, hold, let_go),
        Kind("database restarted", MOMENT, database, restart, lambda one: None),
        Kind(
            "database held up",
            DATABASE_HELD,
            database,
            lambda one: signal_database(one, signal.SIGSTOP),
            lambda one: signal_database(one, signal.SIGCONT),
        ),
    ]
    known.append(Kind("object store killed", DOWN, [fleet.store], kill, start))
    if fleet.network:
        cut, mend = (lambda one: one.cut()), (lambda one: one.mend())
        known.append(Kind("runner cut off", CUT_OFF, [fleet.network], cut, mend))
    return known


def _signal(signum: signal.Signals) -> Callable:
    return lambda one: one.process.send_signal(signum)


class Chaos(Worker):
    def __init__(self, fleet: Fleet, seed: int):
        super().__init__("chaos")
        self.fleet = fleet
        self.chance = random.Random(seed)
        self.kinds = kinds(fleet)
        self.faults: list[Fault] = []
        self._began = time.time()

    def work(self) -> None:
        while True:
            # Like cards, so that a short run has seen as many kinds as it can.
            deck = list(self.kinds)
            self.chance.shuffle(deck)
            for kind in deck:
                self.rest(self.chance.uniform(*PAUSES))
                if self.stopping.is_set():
                    return
                self._inflict(kind)

    def _inflict(self, kind: Kind) -> None:
        target = self.chance.choice(kind.targets)
        seconds = self.chance.uniform(*kind.seconds)
        touched = self.fleet.touched_by(target)
        fault = Fault(kind.name, self.fleet.name_of(target), touched)
        self.faults.append(fault)
        try:
            kind.inflict(target)
            self.rest(seconds)
        finally:
            kind.heal(target)
            fault.ended = time.time()
        at, lasted = fault.began - self._began, fault.ended - fault.began
        print(f"{at:6.1f} s  {kind.name} ({fault.target}), {lasted:.1f} s", flush=True)
