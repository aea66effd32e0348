"""Streams that are followed while servers come and go, each by a reader that checks what arrives."""

import queue
from typing import Callable

import grpc

import wire
from calls import AWAY, CALL_TIME
from reader import Reader
from worker import Worker

FINAL = {
    wire.event.RUN_STATE_SUCCEEDED,
    wire.event.RUN_STATE_FAILED,
    wire.event.RUN_STATE_CANCELLED,
}
PAUSE = 0.2


class Watch:
    """One stream and all that was seen of it. A connection has no time limit, so whoever is not told
    of an event notices only by asking for it."""

    def __init__(self, stream: str, clients: list, side: int):
        self.stream = stream
        self.reader = Reader()
        self.cuts = 0
        self.wrong = ""
        self.untold: list[str] = []
        self.is_over = False
        self._clients = clients
        self._side = side
        # The cursor at the last heartbeat, if more was stored by then.
        self._behind: int | None = None

    def follow(self, is_over: Callable[[Reader], bool]) -> None:
        try:
            while not self._connect(is_over):
                self.cuts += 1
                self._side += 1
        except AssertionError as error:
            self.wrong = f"{self.stream}: {error}"
        except grpc.RpcError as error:
            self.wrong = f"{self.stream}: refused with {error.code().name}: {error.details()}"
        self.is_over = True

    def _connect(self, is_over: Callable[[Reader], bool]) -> bool:
        """Whether it was over before the connection was."""
        self.reader.connected()
        self._behind = None
        cursor = wire.event.StreamCursor(stream=self.stream, after_sequence=self.reader.cursor)
        client = self._clients[self._side % len(self._clients)]
        call = client.events.Watch(wire.event.WatchRequest(cursors=[cursor]))
        try:
            for message in call:
                self.reader.take(message)
                if is_over(self.reader):
                    return True
                if message.WhichOneof("kind") == "heartbeat" and self._is_left_out(client):
                    self.untold.append(f"{self.stream}: after event {self.reader.cursor}")
                    return False
        except grpc.RpcError as error:
            if error.code() not in AWAY:
                raise
        finally:
            call.cancel()
        return False

    def _is_left_out(self, client) -> bool:
        """Whether something was stored that has not come from one heartbeat to the next."""
        cursor = self.reader.cursor
        request = wire.event.ListEventsRequest(
            stream=self.stream, after_sequence=cursor, page_size=1
        )
        newest = client.events.ListEvents(request, timeout=CALL_TIME).last_sequence
        was_behind = self._behind == cursor
        self._behind = cursor if newest > cursor else None
        return was_behind and self._behind == cursor


class RunFollower(Worker):
    """Follows one run after the other, each to its end."""

    def __init__(self, number: int, runs: queue.Queue, clients: list):
        super().__init__(f"follower {number}")
        self._runs, self._clients, self._side = runs, clients, number
        self.watches: list[Watch] = []

    def work(self) -> None:
        while not self.stopping.is_set():
            try:
                run = self._runs.get(timeout=PAUSE)
            except queue.Empty:
                continue
            watch = Watch(f"runs/{run}", self._clients, self._side)
            self.watches.append(watch)
            watch.follow(has_ended)
            self._side += 1


class SessionFollower(Worker):
    """Follows one session until it is said which event is the last."""

    def __init__(self, session: str, clients: list, side: int):
        super().__init__(f"follower of {session} at {side}")
        self.last: int | None = None
        self.watches = [Watch(f"sessions/{session}", clients, side)]

    def work(self) -> None:
        # Heartbeats come as well, so it is asked now and then.
        is_over = lambda reader: self.last is not None and reader.cursor >= self.last  # noqa: E731
        self.watches[0].follow(is_over)


def has_ended(reader: Reader) -> bool:
    """Whether the last event of a run is there."""
    if not reader.events or wire.kind(reader.events[-1]) != "run_state_changed":
        return False
    return reader.events[-1].payload.run_state_changed.state in FINAL
