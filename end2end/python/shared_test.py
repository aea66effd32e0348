"""Two servers with one PostgreSQL database and one directory of workspaces: killed, held up, and left
without the database for a moment."""

import random
import signal
import threading
import time
import unittest

import grpc

import wire
from postgres import Postgres
from server import Server, eventually, processes_with
from work import history, new_session, new_workspace, outcome, send, turn, watch

# After this long without a sign a server is taken for dead.
DEAD = 20


class Shared(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres()

    @classmethod
    def tearDownClass(cls):
        cls.postgres.stop()

    def setUp(self):
        self.first = Server(*self.postgres.flags())
        self.second = Server(beside=self.first)
        self.here, self.there = self.first.client(), self.second.client()
        self.workspace = new_workspace(self.here, "shared").id

    def tearDown(self):
        self.second.stop()
        self.first.stop()

    def _busy(self) -> tuple[str, str]:
        """A session of the first server whose turn works until something stops it."""
        session = new_session(self.here, self.workspace)
        marker = f"811.{random.randrange(10**9)}"
        send(self.here, session, f"!bash while sleep 0.{marker[4:]}; do echo on; done")
        eventually("the command runs", lambda: processes_with(marker[4:]))
        return session, marker[4:]

    def test_what_a_killed_server_left_is_ended_by_the_other(self):
        session, marker = self._busy()
        other = new_session(self.there, self.workspace)
        waiting = send(self.there, other, "!say after the other one")
        self.first.kill()
        eventually("no process of the turn is left", lambda: not processes_with(marker))
        ended = lambda: wire.kind(history(self.there, session)[-1]) == "turn_ended"
        eventually("the turn is ended", ended, seconds=DEAD + 20)
        log = history(self.there, session)
        self.assertEqual(outcome(log), wire.event.TURN_OUTCOME_ABANDONED)
        self._is_contiguous(log)
        # Who waited for the same workspace goes on.
        done = lambda: wire.kind(history(self.there, other)[-1]) == "turn_ended"
        eventually("the other turn ends", done)
        self.assertEqual(outcome(history(self.there, other)), wire.event.TURN_OUTCOME_COMPLETED)
        self.assertEqual(waiting.sequence, 1)
        self.assertEqual(
            outcome(turn(self.there, session, "!say on")), wire.event.TURN_OUTCOME_COMPLETED
        )
        self.first.start()
        self.assertEqual(
            outcome(turn(self.here, session, "!say back")), wire.event.TURN_OUTCOME_COMPLETED
        )

    def test_a_server_that_was_held_up_for_long_writes_nothing_more(self):
        session, marker = self._busy()
        self.first.process.send_signal(signal.SIGSTOP)
        try:
            ended = lambda: wire.kind(history(self.there, session)[-1]) == "turn_ended"
            eventually("the turn is ended", ended, seconds=DEAD + 20)
            before = history(self.there, session)
            self.assertTrue(processes_with(marker), "the command has ended by itself")
        finally:
            self.first.process.send_signal(signal.SIGCONT)
        eventually("its processes are gone", lambda: not processes_with(marker), seconds=15)
        self.assertEqual(history(self.there, session), before)
        # It is one of them again.
        again = lambda: self._try_again(session)  # noqa: E731
        self.assertEqual(eventually("it is back", again), wire.event.TURN_OUTCOME_COMPLETED)
        self._is_contiguous(history(self.there, session))

    def test_a_server_that_is_told_to_stop_leaves_nothing_to_wait_for(self):
        session, _ = self._busy()
        self.first.terminate()
        self.assertEqual(self.first.process.wait(30), 0, self.first.log())
        began = time.monotonic()
        self.assertEqual(
            outcome(turn(self.there, session, "!say on")), wire.event.TURN_OUTCOME_COMPLETED
        )
        self.assertLess(time.monotonic() - began, DEAD)
        self.first.start()

    def test_a_database_that_restarts_loses_nothing_that_was_acknowledged(self):
        watched = new_session(self.here, self.workspace)
        seen: list[str] = []
        following = threading.Thread(target=self._follow, args=(watched, seen), daemon=True)
        following.start()
        acknowledged = []
        for round_ in range(3):
            stop = time.monotonic() + 3
            restarted = False
            while time.monotonic() < stop:
                if not restarted and time.monotonic() > stop - 2:
                    self.postgres.control("--mode", "immediate", "restart")
                    restarted, back = True, time.monotonic()
                name = self._make_session()
                if name is None:
                    continue
                acknowledged.append(name)
            self.assertTrue(restarted)
            eventually("writing goes on", self._make_session, seconds=10)
            self.assertLess(time.monotonic() - back, 15)
            said = f"after restart {round_}"
            sent = lambda: self._try(lambda: turn(self.here, watched, f"!say {said}"))
            eventually("a turn works", sent, seconds=20)
            # At the other server, by its own ear.
            eventually("it is heard of", lambda: said in seen, seconds=15)
        request = wire.session.ListSessionsRequest(workspace_id=self.workspace, page_size=1000)
        there, token = set(), ""
        while True:
            request.page_token = token
            page = self.there.sessions.ListSessions(request, timeout=20)
            there.update(session.id for session in page.sessions)
            token = page.next_page_token
            if not token:
                break
        self.assertEqual(set(acknowledged) - there, set())
        self.assertGreater(len(acknowledged), 10)

    def test_a_session_goes_on_after_the_database_was_away_for_long(self):
        session, marker = self._busy()
        self.postgres.control("--mode", "immediate", "stop")
        try:
            # Its server takes itself for dead, and can't even say so.
            eventually("the turn is stopped", lambda: not processes_with(marker))
        finally:
            self.postgres.control("start")
        again = lambda: self._try_again(session)  # noqa: E731
        self.assertEqual(eventually("the session goes on", again), wire.event.TURN_OUTCOME_COMPLETED)
        log = history(self.there, session)
        self._is_contiguous(log)
        # Nobody stopped the first one.
        ended = next(event for event in log if wire.kind(event) == "turn_ended")
        self.assertEqual(ended.payload.turn_ended.outcome, wire.event.TURN_OUTCOME_ABANDONED)

    def _try_again(self, session: str):
        try:
            return outcome(turn(self.here, session, "!say on"))
        except grpc.RpcError as error:
            legal = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.FAILED_PRECONDITION}
            self.assertIn(error.code(), legal, error.details())
            return None

    def _make_session(self):
        return self._try(lambda: new_session(self.here, self.workspace))

    def _try(self, call):
        """What a call answers, or nothing while the database is away; nothing internal is told."""
        try:
            return call()
        except grpc.RpcError as error:
            self.assertEqual(error.code(), grpc.StatusCode.UNAVAILABLE, error.details())
            return None

    def _follow(self, session: str, seen: list[str]) -> None:
        after = 0
        while True:
            try:
                for message in watch(self.there, session, after, timeout=120):
                    if message.WhichOneof("kind") != "event":
                        continue
                    after = message.event.sequence
                    seen.append(message.event.payload.agent_text.text)
            except grpc.RpcError:
                pass
            except ValueError:
                return  # The test is over, and its channels are closed.
            time.sleep(0.1)

    def _is_contiguous(self, log: list) -> None:
        self.assertEqual([event.sequence for event in log], list(range(1, len(log) + 1)))
