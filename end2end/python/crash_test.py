"""The server is killed in the middle of everything and started again on the same port."""

import random
import threading
import time
import unittest
import uuid

import grpc

import wire
from postgres import WithPostgres
from reader import Reader, check_against
from server import Server, eventually, kill_processes_with, processes_with
from work import events_until, history, new_session, new_workspace, outcome, send, turn, watch

STREAMS = 50
SESSIONS = 5
SEED = 7


class Follower(threading.Thread):
    """Follows one session over a connection of its own until it has seen so many turns end."""

    def __init__(self, server: Server, session: str, turns: int):
        super().__init__(daemon=True)
        self.reader, self.error, self.resumed_at = Reader(), None, None
        self._client, self._session, self._turns = server.client(), session, turns
        self._pause = random.Random(f"{SEED}{session}")
        self.was_cut = False

    def run(self) -> None:
        try:
            while self._ended() < self._turns:
                self._connect()
        except Exception as error:  # shown by the test, which has the thread
            self.error = error

    def _connect(self) -> None:
        self.reader.connected()
        try:
            for message in watch(self._client, self._session, self.reader.cursor, timeout=90):
                if self.was_cut and self.resumed_at is None:
                    self.resumed_at = time.monotonic()
                self.reader.take(message)
                if self._ended() >= self._turns:
                    return
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise
            self.was_cut = True
            time.sleep(self._pause.uniform(0.02, 0.2))

    def _ended(self) -> int:
        return sum(wire.kind(event) == "turn_ended" for event in self.reader.events)


class Crash(unittest.TestCase):
    flags: tuple[str, ...] = ()

    def setUp(self):
        self.server = Server(*self.flags)
        self.client = self.server.client()

    def tearDown(self):
        self.server.stop()

    def test_fifty_streams_outlive_a_killed_server(self):
        sessions = [
            new_session(self.client, new_workspace(self.client, f"killed {number}").id)
            for number in range(SESSIONS)
        ]
        followers = [Follower(self.server, sessions[i % SESSIONS], 2) for i in range(STREAMS)]
        for follower in followers:
            follower.start()
        marker = f"611.{random.randrange(10**9)}"
        words = "so much to say " * 40
        program = ["!chunk-ms 1", *["!glob *"] * 3, f"!say {words}", f"!bash sleep {marker}"]
        acknowledged = [(session, send(self.client, session, *program)) for session in sessions]
        eventually("every session is in mid-turn", lambda: self._all_run(followers, marker))
        self.server.kill()
        killed = time.monotonic()
        eventually("no process of a turn is left", lambda: not processes_with(marker))
        self.server.start()
        healthy = time.monotonic()
        for session in sessions:
            sent = send(self.client, session, "!say It goes on.")
            self.assertGreater(sent.sequence, 1)
        for follower in followers:
            follower.join(60)
        self._check(followers, acknowledged, healthy)
        self.assertLess(healthy - killed, 30)

    def _all_run(self, followers: list[Follower], marker: str) -> bool:
        calls = lambda one: sum(wire.kind(event) == "tool_call" for event in one.reader.events)
        sleeping = [line for line in processes_with(marker) if line.startswith("sleep")]
        return all(calls(one) == 4 for one in followers) and len(sleeping) == SESSIONS

    def _check(self, followers, acknowledged, healthy: float) -> None:
        logs = {session: history(self.client, session) for session, _ in acknowledged}
        for session, sent in acknowledged:
            message = logs[session][sent.sequence - 1]
            self.assertEqual(wire.kind(message), "user_message")
            self.assertEqual(message.turn_id, sent.turn_id)
        for follower in followers:
            self.assertIsNone(follower.error)
            self.assertFalse(follower.is_alive(), "a stream did not come back")
            self.assertTrue(follower.was_cut)
            self.assertLess(follower.resumed_at - healthy, 10)
            log = logs[follower._session]
            check_against(follower.reader, log)
        for log in logs.values():
            self._reads_well(log)

    def _reads_well(self, log: list) -> None:
        notices = [e.payload.notice.reason for e in log if wire.kind(e) == "notice"]
        self.assertEqual(notices, ["SERVER_RESTARTED"])
        outcomes = [e.payload.turn_ended.outcome for e in log if wire.kind(e) == "turn_ended"]
        self.assertEqual(
            outcomes, [wire.event.TURN_OUTCOME_ABANDONED, wire.event.TURN_OUTCOME_COMPLETED]
        )
        said = [e.payload.agent_text.text for e in log if wire.kind(e) == "agent_text"]
        self.assertEqual(said[-1], "It goes on.")

    def test_a_command_that_is_just_starting_when_the_server_is_killed_does_not_outlive_it(self):
        chance = random.Random(SEED)
        for attempt in range(6):
            marker = f"613.{random.randrange(10**9)}"
            for number in range(3):
                workspace = new_workspace(self.client, f"starting {attempt} {number}")
                send(self.client, new_session(self.client, workspace.id), f"!bash sleep {marker}")
            eventually("something starts", lambda: processes_with(marker))
            # Somewhere in the fifty milliseconds that a sandbox takes to be set up.
            time.sleep(chance.uniform(0, 0.05))
            self.server.kill()
            self.addCleanup(kill_processes_with, marker)
            eventually("no process is left", lambda: not processes_with(marker), seconds=5)
            self.server.start()

    def test_a_question_that_nobody_answered_before_the_crash_is_closed(self):
        session = new_session(self.client, new_workspace(self.client, "asked", ask=True).id)
        sent = send(self.client, session, "!bash true")
        events_until(self.client, session, "permission_requested", sent.sequence)
        self.server.kill()
        self.server.start()
        kinds = [wire.kind(event) for event in history(self.client, session)]
        self.assertEqual(kinds[-3:], ["permission_resolved", "notice", "turn_ended"])
        self.assertEqual(outcome(turn(self.client, session, "!glob *")), wire.event.TURN_OUTCOME_COMPLETED)

    def test_a_repeated_request_after_the_crash_does_nothing_twice(self):
        session = new_session(self.client, new_workspace(self.client, "repeated").id)
        request = wire.session.SendMessageRequest(
            session_id=session, text="!say Once.", request_id=str(uuid.uuid4())
        )
        first = self.client.sessions.SendMessage(request, timeout=20)
        self.server.kill()
        self.server.start()
        again = self.client.sessions.SendMessage(request, timeout=20, wait_for_ready=True)
        self.assertEqual((again.turn_id, again.sequence), (first.turn_id, first.sequence))
        messages = [e for e in history(self.client, session) if wire.kind(e) == "user_message"]
        self.assertEqual(len(messages), 1)

    def test_a_server_that_is_told_to_stop_ends_streams_and_turns_and_exits(self):
        session = new_session(self.client, new_workspace(self.client, "stopped").id)
        marker = f"612.{random.randrange(10**9)}"
        reader = Reader()
        call = watch(self.client, session)
        send(self.client, session, f"!bash sleep {marker}")
        eventually("the command runs", lambda: processes_with(marker))
        self.server.terminate()
        began = time.monotonic()
        for message in call:
            reader.take(message)
        self.assertEqual(call.code(), grpc.StatusCode.OK)
        self.assertEqual(reader.end.reason, wire.event.END_REASON_SERVER_STOPPING)
        self.assertEqual(self.server.process.wait(30), 0, self.server.log())
        self.assertLess(time.monotonic() - began, 30)
        self.assertEqual(processes_with(marker), [])
        self.server.start()
        stored = history(self.client, session)
        # The last events may come only with the next connection.
        check_against(reader, stored[: len(reader.events)])
        self.assertEqual(wire.kind(stored[-1]), "turn_ended")
        self.assertEqual(outcome(stored), wire.event.TURN_OUTCOME_ABANDONED)
        self.assertEqual(outcome(turn(self.client, session, "!glob *")), wire.event.TURN_OUTCOME_COMPLETED)


class CrashWithPostgres(WithPostgres, Crash):
    """The same where the database is another process, which goes on."""
