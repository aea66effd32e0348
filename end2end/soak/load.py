"""Runs that are created all the time, through both servers, each with a mark that it prints and that
nothing else prints."""

import queue
import random
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum

import wire
from calls import CALL_TIME, Anywhere
from worker import Worker

UNFINISHED = [
    wire.event.RUN_STATE_QUEUED,
    wire.event.RUN_STATE_CLAIMED,
    wire.event.RUN_STATE_RUNNING,
]
# Unfinished runs of a workspace, beyond which no more are created: what is left when the faults end
# has to come to an end.
ROOM = 12
# Seconds between two runs of one creator.
PAUSES = (0.1, 0.8)
# Seconds that a run sleeps, and after which one is cancelled.
NAPS = (2, 8)
LONG_NAP = 30
CANCELLED_AFTER = (0, 5)


class Shape(Enum):
    """What a run does, and how many of a hundred are such."""

    SHORT = 50
    SLEEPING = 25
    WRITING = 15
    CANCELLED = 10


class Asking(Enum):
    """How a run is asked for, and how often of a hundred times."""

    ONCE = 70
    AGAIN_ELSEWHERE = 20
    TWICE_AT_ONCE = 10


@dataclass
class Job:
    """A run as whoever asked for it knows it."""

    mark: str
    shape: Shape
    request: wire.run.CreateRunRequest
    # More than one would be too many.
    runs: set[str] = field(default_factory=set)

    @property
    def run(self) -> str:
        return next(iter(self.runs))

    @property
    def path(self) -> str:
        """The file that it writes, if it is of that shape."""
        return f"{self.mark}.txt"


def new_job(workspace: str, chance: random.Random) -> Job:
    shape = pick(Shape, chance)
    mark = f"mark-{uuid.UUID(int=chance.getrandbits(128)).hex}"
    spec = wire.run.RunSpec(prompt="\n".join(_lines(shape, mark, chance)))
    request = wire.run.CreateRunRequest(
        workspace_id=workspace, spec=spec, title=mark, request_id=str(uuid.uuid4())
    )
    return Job(mark, shape, request)


def _lines(shape: Shape, mark: str, chance: random.Random) -> list[str]:
    match shape:
        case Shape.SHORT:
            return [f"!bash echo {mark}"]
        case Shape.SLEEPING:
            nap = f"{chance.uniform(*NAPS):.1f}"
            return [f"!bash sleep {nap}; echo {mark}", "!bash echo a second round"]
        case Shape.WRITING:
            return [f"!bash echo {mark} >>{mark}.txt; cat {mark}.txt"]
        case Shape.CANCELLED:
            return [f"!bash sleep {LONG_NAP}; echo {mark}"]


def pick(choices: type[Enum], chance: random.Random):
    return chance.choices(list(choices), [choice.value for choice in choices])[0]


class Creator(Worker):
    def __init__(self, number: int, seed: int, anywhere: Anywhere, workspaces: list[str]):
        super().__init__(f"creator {number}")
        self._chance = random.Random(f"{seed} creator {number}")
        self._anywhere = anywhere
        self._workspaces = workspaces
        self.jobs: list[Job] = []
        # Some of what it made, for whoever wants to watch it.
        self.to_watch: queue.Queue[str] = queue.Queue(maxsize=1)

    def work(self) -> None:
        while not self.stopping.is_set():
            workspace = self._chance.choice(self._workspaces)
            if self._has_room(workspace):
                self._make(new_job(workspace, self._chance))
            self.rest(self._chance.uniform(*PAUSES))

    def _has_room(self, workspace: str) -> bool:
        request = wire.run.ListRunsRequest(
            workspace_id=workspace, states=UNFINISHED, page_size=ROOM
        )
        page = self._anywhere.call(lambda at: at.runs.ListRuns(request, timeout=CALL_TIME))
        return len(page.runs) < ROOM

    def _make(self, job: Job) -> None:
        self.jobs.append(job)
        side = self._chance.randrange(2)
        match pick(Asking, self._chance):
            case Asking.ONCE:
                self._ask(job, side)
            case Asking.AGAIN_ELSEWHERE:
                self._ask(job, side)
                self._ask(job, side + 1)
            case Asking.TWICE_AT_ONCE:
                with ThreadPoolExecutor(max_workers=2) as both:
                    list(both.map(lambda at: self._ask(job, at), [side, side + 1]))
        try:
            self.to_watch.put_nowait(job.run)
        except queue.Full:
            pass  # Everybody has enough to watch.
        if job.shape is Shape.CANCELLED:
            self.rest(self._chance.uniform(*CANCELLED_AFTER))
            self._cancel(job, side + 1)

    def _ask(self, job: Job, side: int) -> None:
        create = lambda at: at.runs.CreateRun(job.request, timeout=CALL_TIME)  # noqa: E731
        job.runs.add(self._anywhere.call(create, side).run.id)

    def _cancel(self, job: Job, side: int) -> None:
        request = wire.run.CancelRunRequest(run_id=job.run)
        self._anywhere.call(lambda at: at.runs.CancelRun(request, timeout=CALL_TIME), side)
