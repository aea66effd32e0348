"""How long nobody could have been served: a cheap call that needs the database, made at each server
over and over."""

import threading
import time

import grpc

import wire
from server import Server
from worker import Worker

PERIOD = 0.2
CALL_TIME = 2


class Availability:
    """The longest time between two answers, whoever gave them."""

    def __init__(self):
        self._lock = threading.Lock()
        self._last = time.monotonic()
        self.longest = 0.0

    def answered(self) -> None:
        with self._lock:
            now = time.monotonic()
            self.longest = max(self.longest, now - self._last)
            self._last = now


class Probe(Worker):
    def __init__(self, name: str, server: Server, availability: Availability):
        super().__init__(f"probe of {name}")
        self._client = server.client()
        self._availability = availability
        self.asked = self.answered = 0

    def work(self) -> None:
        while not self.stopping.is_set():
            self.asked += 1
            try:
                self._client.accounts.GetMe(wire.account.GetMeRequest(), timeout=CALL_TIME)
                self._availability.answered()
                self.answered += 1
            except grpc.RpcError:
                pass  # What is away is what is measured.
            self.rest(PERIOD)
