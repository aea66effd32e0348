"""A whole flow: an archive becomes a workspace, the agent works in it, a person answers."""

import io
import unittest
import zipfile

import wire
from reader import Reader, check_against
from server import Server
from work import answer, code_of, events_until, history, new_session, new_workspace, outcome
from work import send, stream_of, turn, watch

import grpc


def archive(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as out:
        for name, text in files.items():
            out.writestr(name.replace("__", "."), text)
    return buffer.getvalue()


def parts(name: str, data: bytes, size: int):
    header = wire.workspace.CreateWorkspaceRequest(name=name)
    yield wire.workspace.ImportWorkspaceRequest(header=header)
    for begin in range(0, len(data), size):
        yield wire.workspace.ImportWorkspaceRequest(chunk=data[begin : begin + size])


class Flow(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.client = cls.server.client()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def test_an_archive_is_imported_and_the_agent_reads_edits_and_runs_in_it(self):
        data = archive(note__txt="the colour is red\n", run__sh="cat note.txt\n")
        imported = self.client.workspaces.ImportWorkspace(parts("imported", data, 50), timeout=20)
        self.assertEqual(imported.file_count, 2)
        session = new_session(self.client, imported.workspace.id)
        sent = send(
            self.client,
            session,
            "!grep colour",
            "!read note.txt",
            "!edit note.txt red => blue",
            "!bash sh run.sh",
            "!say It is blue now.",
        )
        asked = events_until(self.client, session, "permission_requested", sent.sequence)[-1]
        self.assertEqual(asked.payload.permission_requested.tool_name, "Edit")
        answer(self.client, session, asked, wire.event.PERMISSION_DECISION_ALLOW)
        asked = events_until(self.client, session, "permission_requested", asked.sequence)[-1]
        self.assertEqual(asked.payload.permission_requested.tool_name, "Bash")
        answer(self.client, session, asked, wire.event.PERMISSION_DECISION_ALLOW)
        rest = events_until(self.client, session, "turn_ended", asked.sequence)
        self.assertEqual(outcome(rest), wire.event.TURN_OUTCOME_COMPLETED)
        results = [e.payload.tool_result for e in history(self.client, session) if wire.kind(e) == "tool_result"]
        self.assertEqual(len(results), 4)
        self.assertEqual(results[2].file_change.lines_added, 1)
        self.assertIn("the colour is blue", results[3].content[0].text)
        self.assertEqual(results[3].command.exit_code, 0)

    def test_a_denial_with_a_reason_is_told_to_the_agent(self):
        session = new_session(self.client, new_workspace(self.client, "denied", ask=True).id)
        sent = send(self.client, session, "!bash touch forbidden", "!bash true")
        asked = events_until(self.client, session, "permission_requested", sent.sequence)[-1]
        answer(self.client, session, asked, wire.event.PERMISSION_DECISION_DENY, "not on a Friday")
        asked = events_until(self.client, session, "permission_requested", asked.sequence)[-1]
        told = [e for e in history(self.client, session) if wire.kind(e) == "tool_result"][0]
        self.assertTrue(told.payload.tool_result.is_error)
        self.assertIn("not on a Friday", told.payload.tool_result.content[0].text)
        again = code_of(lambda: answer(self.client, session, asked, wire.event.PERMISSION_DECISION_DENY))
        self.assertEqual(again, grpc.StatusCode.OK)
        again = code_of(lambda: answer(self.client, session, asked, wire.event.PERMISSION_DECISION_ALLOW))
        self.assertEqual(again, grpc.StatusCode.FAILED_PRECONDITION)

    def test_what_is_streamed_is_what_is_stored(self):
        session = new_session(self.client, new_workspace(self.client, "streamed").id)
        call = watch(self.client, session)
        words = "grüße, " * 120
        sent = send(self.client, session, "!chunk-ms 1", "!chunk-chars 5", f"!say {words}", "!bash seq 50")
        reader = Reader()
        for message in call:
            reader.take(message)
            if reader.events and wire.kind(reader.events[-1]) == "turn_ended":
                break
        call.cancel()
        self.assertGreater(sent.sequence, 0)
        self.assertGreaterEqual(reader.reassembled, 2)
        check_against(reader, history(self.client, session))

    def test_a_second_turn_remembers_the_first(self):
        session = new_session(self.client, new_workspace(self.client, "two turns").id)
        turn(self.client, session, "!bash echo first > kept.txt")
        second = turn(self.client, session, "!bash cat kept.txt")
        self.assertEqual(outcome(second), wire.event.TURN_OUTCOME_COMPLETED)
        got = self.client.sessions.GetSession(wire.session.GetSessionRequest(session_id=session), timeout=20)
        self.assertEqual(got.session.turn_count, 2)
        self.assertEqual(got.session.last_sequence, second[-1].sequence)
        self.assertEqual(got.session.state, wire.session.SESSION_STATE_IDLE)

    def test_deleting_a_workspace_ends_the_watch_and_removes_the_directory(self):
        workspace = new_workspace(self.client, "deleted").id
        session = new_session(self.client, workspace)
        turn(self.client, session, "!bash touch a-file")
        directory = self.server.data / "workspaces" / workspace
        self.assertTrue((directory / "files" / "a-file").exists())
        call = watch(self.client, session)
        self.assertEqual(next(call).WhichOneof("kind"), "event")
        self.client.workspaces.DeleteWorkspace(
            wire.workspace.DeleteWorkspaceRequest(workspace_id=workspace), timeout=20
        )
        ends = [message.end for message in call if message.WhichOneof("kind") == "end"]
        self.assertEqual([end.reason for end in ends], [wire.event.END_REASON_DELETED])
        self.assertEqual(ends[0].stream, stream_of(session))
        self.assertFalse(directory.exists())
