"""What a stranger, or a browser on a stranger's page, can do: nothing."""

import http.client
import unittest
from urllib.parse import urlsplit

import grpc

import wire
from server import Server
from work import code_of, new_session, new_workspace

METHOD = "/membrane.v1.WorkspaceService/CreateWorkspace"
GRPC_WEB = {"content-type": "application/grpc-web+proto"}
# An empty message of a name: one frame that is not compressed.
BODY = b"\0\0\0\0\x04\x0a\x02hi"


class Boundary(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.client = cls.server.client()
        cls.cookie = cls.sign_in(cls.server)

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    @staticmethod
    def sign_in(server: Server) -> str:
        link = urlsplit(server.command("login-link"))
        token = link.fragment.removeprefix("token=")
        answer = request(server, "POST", "/auth/exchange", {"content-type": "application/json"}, f'{{"token": "{token}"}}')
        assert answer.status == 204, answer.status
        return answer.headers["set-cookie"]

    def names(self) -> list[str]:
        listed = self.client.workspaces.ListWorkspaces(wire.workspace.ListWorkspacesRequest(), timeout=20)
        return [workspace.name for workspace in listed.workspaces]

    def post(self, path: str = METHOD, **headers: str) -> int:
        """A POST with the cookie of somebody who is signed in."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        headers["cookie"] = self.cookie.split(";")[0]
        return request(self.server, "POST", path, headers, BODY).status

    def test_a_cookie_is_kept_from_scripts_and_other_sites(self):
        attributes = self.cookie.lower()
        self.assertIn("httponly", attributes)
        self.assertIn("samesite=", attributes)
        self.assertNotIn("samesite=none", attributes)

    def test_a_sign_in_link_works_once(self):
        link = urlsplit(self.server.command("login-link"))
        self.assertEqual((link.query, link.path), ("", "/sign-in"))
        json = {"content-type": "application/json"}
        body = f'{{"token": "{link.fragment.removeprefix("token=")}"}}'
        self.assertEqual(request(self.server, "POST", "/auth/exchange", json, body).status, 204)
        self.assertEqual(request(self.server, "POST", "/auth/exchange", json, body).status, 401)

    def test_our_own_page_may_call(self):
        before = len(self.names())
        own = {"origin": self.server.url, "sec_fetch_site": "same-origin"}
        self.assertEqual(self.post(content_type="application/grpc-web+proto", **own), 200)
        self.assertEqual(len(self.names()), before + 1)

    def test_a_form_of_another_site_changes_nothing(self):
        before = self.names()
        for content_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/json", ""]:
            self.assertEqual(self.post(content_type=content_type), 415, content_type)
        self.assertEqual(self.names(), before)

    def test_a_foreign_host_name_is_not_answered(self):
        for host in ["evil.example", f"evil.example:{self.server.port}", "127.0.0.1:1", ""]:
            for method, path in [("GET", "/"), ("GET", "/health"), ("POST", METHOD)]:
                answer = request(self.server, method, path, {**GRPC_WEB, "host": host}, BODY)
                self.assertEqual(answer.status, 421, f"{method} {path} at {host!r}")

    def test_a_post_from_another_site_is_refused_everywhere(self):
        before = self.names()
        foreign = [
            {"origin": "https://evil.example"},
            {"origin": "https://evil.example", "sec_fetch_site": "cross-site"},
            {"origin": "null"},
            {"sec_fetch_site": "same-site"},
        ]
        for headers in foreign:
            for path in [METHOD, "/workspaces/import", "/auth/exchange", "/auth/sign-out"]:
                status = self.post(path, content_type="application/grpc-web+proto", **headers)
                self.assertEqual(status, 403, f"{path} with {headers}")
        self.assertEqual(self.names(), before)

    def test_no_other_origin_is_told_that_it_may_read(self):
        answer = request(self.server, "OPTIONS", METHOD, {
            "origin": "https://evil.example", "access-control-request-method": "POST",
        }, b"")
        self.assertIsNone(answer.headers["access-control-allow-origin"])

    def test_without_a_valid_token_nothing_is_answered(self):
        workspace = new_workspace(self.client, "mine").id
        session = new_session(self.client, workspace)
        for token in ["", "garbage", "mbt_" + "A" * 43, self.server.token[:-1], "x" * 5000]:
            stranger = self.server.client(token)
            calls = [
                lambda: stranger.accounts.GetMe(wire.account.GetMeRequest()),
                lambda: stranger.workspaces.ListWorkspaces(wire.workspace.ListWorkspacesRequest()),
                lambda: stranger.workspaces.GetWorkspace(wire.workspace.GetWorkspaceRequest(workspace_id=workspace)),
                lambda: stranger.sessions.InterruptSession(wire.session.InterruptSessionRequest(session_id=session)),
                lambda: stranger.events.ListEvents(wire.event.ListEventsRequest(stream=f"sessions/{session}")),
                lambda: next(stranger.events.Watch(wire.event.WatchRequest(
                    cursors=[wire.event.StreamCursor(stream=f"sessions/{session}")]
                ))),
            ]
            for number, call in enumerate(calls):
                self.assertEqual(code_of(call), grpc.StatusCode.UNAUTHENTICATED, f"{number} {token[:8]!r}")

    def test_what_is_another_persons_is_as_if_it_were_not_there(self):
        self.server.command("user", "create", "other")
        other = self.server.client(self.server.command("token", "create", "theirs", "--user", "other"))
        session = new_session(self.client, new_workspace(self.client, "private").id)
        absent = "00000000-0000-4000-8000-000000000000"
        answers = []
        for wanted in [session, absent]:
            with self.assertRaises(grpc.RpcError) as refused:
                other.sessions.GetSession(wire.session.GetSessionRequest(session_id=wanted), timeout=20)
            answers.append((refused.exception.code(), refused.exception.details()))
        self.assertEqual(answers[0], answers[1])
        self.assertEqual(answers[0][0], grpc.StatusCode.NOT_FOUND)

    def test_a_method_that_does_not_exist_is_unimplemented(self):
        call = self.client.channel.unary_unary("/membrane.v1.WorkspaceService/DropEverything")
        self.assertEqual(code_of(lambda: call(b"", timeout=20)), grpc.StatusCode.UNIMPLEMENTED)

    def test_no_get_reaches_a_method(self):
        answer = request(self.server, "GET", METHOD, {"cookie": self.cookie.split(";")[0]}, b"")
        self.assertIn(answer.status, (404, 405, 415))


def request(server: Server, method: str, path: str, headers: dict, body):
    """One plain HTTP/1.1 request with exactly these headers."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.putrequest(method, path, skip_host="host" in headers)
    body = body.encode() if isinstance(body, str) else body
    for name, value in {**headers, "content-length": str(len(body))}.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer
