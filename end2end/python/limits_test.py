"""What is too much is cut or refused, and everything else goes on."""

import unittest
import uuid
from concurrent.futures import ThreadPoolExecutor

import grpc

import wire
from reader import Reader, check_against
from server import Server
from work import code_of, history, new_session, new_workspace, outcome, send, turn, watch

LARGE = 5 << 20


class Limits(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.client = cls.server.client()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def test_five_mebibytes_of_output_are_cut_with_a_digest_and_the_stream_lives(self):
        session = new_session(self.client, new_workspace(self.client, "loud").id)
        call = watch(self.client, session)
        shout = f"!bash head -c {LARGE} /dev/zero | tr '\\0' "
        send(self.client, session, shout + "x", shout + "x", shout + "y", "!say Quiet now.")
        reader, largest = Reader(), 0
        for message in call:
            reader.take(message)
            largest = max(largest, message.ByteSize())
            if reader.events and wire.kind(reader.events[-1]) == "turn_ended":
                break
        call.cancel()
        self.assertEqual(outcome(reader.events), wire.event.TURN_OUTCOME_COMPLETED)
        self.assertLess(largest, 1 << 20, "a message is nearly as large as what was to be cut")
        results = [e.payload.tool_result for e in reader.events if wire.kind(e) == "tool_result"]
        self.assertEqual([r.truncation.total_bytes for r in results], [LARGE] * 3)
        digests = [r.truncation.digest for r in results]
        for digest in digests:
            self.assertRegex(digest, "^blake3:[0-9a-f]{64}$")
        self.assertEqual(digests[0], digests[1])
        self.assertNotEqual(digests[0], digests[2])
        for result in results:
            self.assertLess(len(result.content[0].text), 64_000)
        check_against(reader, history(self.client, session))

    def test_the_whole_output_can_be_read_where_the_cut_says_it_is(self):
        session = new_session(self.client, new_workspace(self.client, "kept").id)
        first = turn(self.client, session, "!bash seq 1 200000")
        result = [e.payload.tool_result for e in first if wire.kind(e) == "tool_result"][0]
        second = turn(self.client, session, f"!bash wc -c < '{result.truncation.path}'")
        counted = [e.payload.tool_result for e in second if wire.kind(e) == "tool_result"][0]
        self.assertIn(str(result.truncation.total_bytes), counted.content[0].text)

    def test_a_hundred_creations_with_one_request_id_make_one_workspace(self):
        request = wire.workspace.CreateWorkspaceRequest(name="once", request_id=str(uuid.uuid4()))
        clients = [self.server.client() for _ in range(10)]
        create = lambda number: (
            clients[number % 10].workspaces.CreateWorkspace(request, timeout=60).workspace.id
        )
        with ThreadPoolExecutor(100) as pool:
            ids = set(pool.map(create, range(100)))
        self.assertEqual(len(ids), 1)
        listed = self.client.workspaces.ListWorkspaces(wire.workspace.ListWorkspacesRequest(), timeout=20)
        self.assertEqual([w.id for w in listed.workspaces if w.name == "once"], list(ids))

    def test_a_message_that_is_too_large_is_refused_and_the_connection_goes_on(self):
        session = new_session(self.client, new_workspace(self.client, "oversized").id)
        # tonic says OUT_OF_RANGE for what the specification calls RESOURCE_EXHAUSTED.
        refused = (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.OUT_OF_RANGE)
        self.assertIn(code_of(lambda: send(self.client, session, "x" * LARGE)), refused)
        too_long = code_of(lambda: send(self.client, session, "x" * 200_001))
        self.assertEqual(too_long, grpc.StatusCode.INVALID_ARGUMENT)
        self.assertEqual(history(self.client, session), [])
        self.assertEqual(outcome(turn(self.client, session, "!say Small.")), wire.event.TURN_OUTCOME_COMPLETED)

    def test_a_second_message_while_the_agent_works_is_refused(self):
        session = new_session(self.client, new_workspace(self.client, "busy").id)
        send(self.client, session, "!bash sleep 600")
        busy = code_of(lambda: send(self.client, session, "!say Me too."))
        self.assertEqual(busy, grpc.StatusCode.FAILED_PRECONDITION)
        request = wire.session.InterruptSessionRequest(session_id=session)
        self.assertTrue(self.client.sessions.InterruptSession(request, timeout=30).interrupted)
        self.assertFalse(self.client.sessions.InterruptSession(request, timeout=30).interrupted)

    def test_more_watches_than_one_person_may_have_are_refused(self):
        session = new_session(self.client, new_workspace(self.client, "watched").id)
        turn(self.client, session, "!say Look.")
        calls = [watch(self.client, session) for _ in range(64)]
        for call in calls:
            next(call)
        refused = code_of(lambda: next(watch(self.client, session)))
        self.assertEqual(refused, grpc.StatusCode.RESOURCE_EXHAUSTED)
        for call in calls:
            call.cancel()
