"""Sessions in which somebody talks to an agent all the time, at whichever server answers."""

import random
import time
import uuid

import wire
from calls import CALL_TIME, Anywhere
from worker import Worker

# Seconds between two messages, and between two looks at whether a turn has ended.
PAUSES = (0.5, 3)
PERIOD = 0.3
# A turn of a server that was held up or died is ended by the other one after some twenty seconds.
LONGEST_TURN = 150
PAGE = 1000


class Talker(Worker):
    def __init__(self, number: int, seed: int, anywhere: Anywhere, workspace: str):
        super().__init__(f"talker {number}")
        self._chance = random.Random(f"{seed} talker {number}")
        self._anywhere = anywhere
        request = wire.session.CreateSessionRequest(workspace_id=workspace)
        create = lambda at: at.sessions.CreateSession(request, timeout=CALL_TIME)  # noqa: E731
        self.session = anywhere.call(create).session.id
        # The turns that were acknowledged, by the mark of their message.
        self.turns: dict[str, set[str]] = {}
        self.unended: list[str] = []

    def work(self) -> None:
        # A session whose turn does not end takes no more messages.
        while not self.stopping.is_set() and not self.unended:
            self._say()
            self.rest(self._chance.uniform(*PAUSES))

    def _say(self) -> None:
        mark = f"mark-{uuid.uuid4().hex}"
        words = "words that come one after the other " * self._chance.randint(1, 20)
        nap = f"{self._chance.uniform(0, 2):.1f}"
        text = "\n".join([f"!say {words}", f"!bash sleep {nap}; echo {mark}"])
        request = wire.session.SendMessageRequest(
            session_id=self.session, text=text, request_id=str(uuid.uuid4())
        )
        send = lambda at: at.sessions.SendMessage(request, timeout=CALL_TIME)  # noqa: E731
        side = self._chance.randrange(2)
        # The second time at the other server, which has to know of the first.
        sent = [self._anywhere.call(send, side + turn) for turn in range(2)]
        self.turns[mark] = {answer.turn_id for answer in sent}
        self._until_ended(sent[0])

    def _until_ended(self, sent) -> None:
        deadline = time.monotonic() + LONGEST_TURN
        while time.monotonic() < deadline:
            log = read_log(self._anywhere, f"sessions/{self.session}", sent.sequence)
            if any(_ends(event, sent.turn_id) for event in log):
                return
            time.sleep(PERIOD)
        self.unended.append(f"{self.session}, turn {sent.turn_id}")


def _ends(event, turn: str) -> bool:
    return wire.kind(event) == "turn_ended" and event.turn_id == turn


def read_log(anywhere: Anywhere, stream: str, after: int = 0) -> list:
    """All that is stored of a stream."""
    stored = []
    while True:
        request = wire.event.ListEventsRequest(
            stream=stream, after_sequence=after, page_size=PAGE
        )
        page = anywhere.call(lambda at: at.events.ListEvents(request, timeout=CALL_TIME))
        stored.extend(page.events)
        if not page.has_more:
            return stored
        after = stored[-1].sequence


def has_gaps(log: list) -> bool:
    """Whether the numbers of a log are others than 1, 2, 3, …"""
    return [event.sequence for event in log] != list(range(1, len(log) + 1))
