"""Clients that lose their connection all the time, and history that is read while it grows."""

import random
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor

import grpc

import wire
from reader import Reader, check_against
from server import Server
from work import code_of, history, new_session, new_workspace, send, stream_of, turn, watch

SEED = 20261101


def program(length: int) -> list[str]:
    """A turn that says and prints a lot, in small pieces."""
    words = " ".join(f"word{number}" for number in range(length))
    return ["!chunk-ms 1", "!chunk-chars 6", f"!think {words}", f"!say {words}", "!bash seq 1 300"]


class Resume(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.client = cls.server.client()
        cls.random = random.Random(SEED)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def test_a_client_that_is_cut_off_again_and_again_misses_and_repeats_nothing(self):
        session = new_session(self.client, new_workspace(self.client, "cut").id)
        reader, connections, turns = Reader(), 0, 0
        while connections < 40 or turns < 2:
            if not reader.events or wire.kind(reader.events[-1]) == "turn_ended":
                turns += 1
                send(self.client, session, *program(120), *program(120))
            connections += 1
            self._read_some(session, reader, self.random.randint(1, 40))
        while wire.kind(reader.events[-1]) != "turn_ended":
            self._read_some(session, reader, 1000)
        check_against(reader, history(self.client, session))
        self.assertGreater(reader.reassembled, 0, "no block was read to its end in one connection")

    def _read_some(self, session: str, reader: Reader, count: int) -> None:
        reader.connected()
        client = self.server.client()
        call = watch(client, session, reader.cursor)
        for message in call:
            reader.take(message)
            count -= 1
            ended = reader.events and wire.kind(reader.events[-1]) == "turn_ended"
            if count <= 0 or ended:
                break
        call.cancel()
        client.close()

    def test_history_that_is_read_while_it_grows_joins_the_stream_without_a_gap(self):
        session = new_session(self.client, new_workspace(self.client, "growing").id)
        done = threading.Event()
        writer = threading.Thread(target=self._write_until, args=(session, done))
        turn(self.client, session, "!bash true")
        writer.start()
        try:
            with ThreadPoolExecutor(4) as readers:
                list(readers.map(lambda _: self._join_history_and_stream(session), range(100)))
        finally:
            done.set()
            writer.join(60)
        stored = history(self.client, session)
        self.assertEqual([event.sequence for event in stored], list(range(1, len(stored) + 1)))

    def _write_until(self, session: str, done: threading.Event) -> None:
        client = self.server.client()
        while not done.is_set():
            turn(client, session, "!parallel", *["!glob *"] * 8, "!end", "!say More.")

    def _join_history_and_stream(self, session: str) -> None:
        page_size = self.random.choice([50, 200, 1000])
        events = history(self.client, session, page_size)
        call = watch(self.client, session, events[-1].sequence)
        fresh = []
        for message in call:
            if message.WhichOneof("kind") == "event":
                fresh.append(message.event)
            if len(fresh) == 2:
                break
        call.cancel()
        sequences = [event.sequence for event in [*events, *fresh]]
        self.assertEqual(sequences, list(range(1, len(sequences) + 1)))

    def test_older_history_is_read_backwards_without_a_gap(self):
        session = new_session(self.client, new_workspace(self.client, "backwards").id)
        turn(self.client, session, *["!bash true"] * 4)
        stored = history(self.client, session)
        before, pages = stored[-1].sequence + 1, []
        while True:
            request = wire.event.ListEventsRequest(
                stream=stream_of(session), before_sequence=before, page_size=3
            )
            page = self.client.events.ListEvents(request, timeout=20)
            pages = [*page.events, *pages]
            before = page.events[0].sequence
            if not page.has_more:
                break
        self.assertEqual(pages, stored)

    def test_a_cursor_of_another_stream_is_not_found(self):
        workspace = new_workspace(self.client, "cursors").id
        long, short = new_session(self.client, workspace), new_session(self.client, workspace)
        last = turn(self.client, long, "!bash true", "!bash true")[-1].sequence
        turn(self.client, short, "!say hello")
        self.assertEqual(self._refusal(short, last), grpc.StatusCode.NOT_FOUND)
        self.assertEqual(self._refusal(long, last + 1), grpc.StatusCode.NOT_FOUND)
        self.assertEqual(self._refusal("00000000-0000-4000-8000-000000000000", 0), grpc.StatusCode.NOT_FOUND)
        self.assertEqual(self._refusal("another", 0), grpc.StatusCode.NOT_FOUND)

    def _refusal(self, session: str, after: int) -> grpc.StatusCode:
        return code_of(lambda: next(watch(self.client, session, after)))
