"""What the log of a run says about its attempts, and what no such log may say."""

from dataclasses import dataclass, field

import wire
from watching import FINAL

CLAIMED = wire.event.RUN_STATE_CLAIMED
QUEUED = wire.event.RUN_STATE_QUEUED


@dataclass
class Attempt:
    """One lease of a run, from its claim to whatever ended it."""

    number: int
    runner: str
    began: float
    ended: float = float("inf")
    # Why it ended without ending the run; empty if it did that, or works.
    lost: str = ""
    output: str = ""


@dataclass
class Story:
    attempts: list[Attempt] = field(default_factory=list)
    ends: list = field(default_factory=list)
    # Events that were stored while nobody held a lease, or after the end.
    unheld: int = 0

    @property
    def losses(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.lost]


def tell(log: list) -> Story:
    story, at_work = Story(), None
    for event in log:
        if wire.kind(event) != "run_state_changed":
            if at_work is None:
                story.unheld += 1
            else:
                at_work.output += _output(event)
            continue
        changed = event.payload.run_state_changed
        if changed.state == CLAIMED:
            at_work = Attempt(changed.attempt, changed.runner_name, _time(event))
            story.attempts.append(at_work)
        elif changed.state == QUEUED or changed.state in FINAL:
            _end(story, at_work, event)
            at_work = None
    return story


def _end(story: Story, at_work: Attempt | None, event) -> None:
    changed = event.payload.run_state_changed
    if changed.state in FINAL:
        story.ends.append(changed)
    if at_work is None:
        return
    at_work.ended = _time(event)
    if changed.state == QUEUED or changed.reason == "ATTEMPTS_EXHAUSTED":
        at_work.lost = changed.reason


def _output(event) -> str:
    if wire.kind(event) != "tool_result":
        return ""
    return "".join(part.text for part in event.payload.tool_result.content)


def _time(event) -> float:
    return event.create_time.ToNanoseconds() / 1e9
