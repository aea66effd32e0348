"""The servers as a program sees them that has to get its answer: a call that was not answered is made
again, at the other server."""

import threading
import time
from collections import Counter

import grpc

# What a server answers, or its absence, that is away for a moment.
AWAY = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
# A call to a server that is held up ends after this many seconds.
CALL_TIME = 10
PAUSE = 0.2
# All servers together are never away for as long as this.
PATIENCE = 180


class Anywhere:
    def __init__(self, clients: list):
        self.clients = clients
        self._lock = threading.Lock()
        self.repeated = 0
        self.odd: Counter[str] = Counter()

    def call(self, make, first: int = 0, expected: frozenset = frozenset()):
        """What `make(client)` answers, at the client `first` if it can. Raises what is `expected`;
        any other refusal is noted, since nothing that is asked for here may be refused."""
        deadline = time.monotonic() + PATIENCE
        turn = first
        while True:
            try:
                return make(self.clients[turn % len(self.clients)])
            except grpc.RpcError as error:
                if error.code() in expected or time.monotonic() > deadline:
                    raise
                self._note(error)
            turn += 1
            time.sleep(PAUSE)

    def _note(self, error: grpc.RpcError) -> None:
        with self._lock:
            self.repeated += 1
            if error.code() not in AWAY:
                self.odd[f"{error.code().name}: {error.details()}"] += 1
