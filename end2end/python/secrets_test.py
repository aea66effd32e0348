"""D1: twenty canaries go through a whole flow, in every form that promises to be masked; afterwards
none of them is anywhere but in the files in which people put them."""

import base64
import http.client
import http.server
import json
import random
import shlex
import threading
import unittest
import urllib.request
from urllib.parse import quote, quote_plus, urlsplit

import wire
from flow_test import archive, parts
from server import Server
from work import events_until, history, new_session, outcome, send, watch

MASK = "[redacted]"
RANDOM = random.Random(5)


def letters(count: int) -> str:
    return "".join(RANDOM.choices("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789", k=count))


# What providers take is printable and has no spaces.
KEYS = {
    wire.workspace.PROVIDER_ANTHROPIC: f"canary-key-{letters(32)}",
    wire.workspace.PROVIDER_OPENROUTER: f"canary+key/{letters(32)}==",
    wire.workspace.PROVIDER_CUSTOM: f"canary'key\"{letters(24)}",
}
PEM = "\n".join(["-----BEGIN CANARY-----", *(letters(64) for _ in range(6)), "-----END CANARY-----"])
SECRETS = {
    "plain": f"canary-{letters(40)}",
    "short": f"c{letters(7)}",
    "spaces": f"canary of {letters(8)} words {letters(8)}",
    "quotes": f"it's \"{letters(12)}\" & '{letters(12)}'",
    "backslash": f"C:\\canary\\{letters(16)}\\$HOME",
    "unicode": f"kanarienvögel-{letters(16)}-ñ-€-😀",
    "url": f"https://user:{letters(16)}@host.example/a?b=c&d={letters(8)}#e",
    "json": json.dumps({"type": "canary", "key": letters(24), "n": [1, 2]}),
    "html": f"<canary a=\"{letters(12)}\">&amp;{letters(12)}</canary>",
    "pem": PEM,
    "long": letters(700),
    "dashes": f"--canary={letters(20)};{letters(10)}|{letters(10)}",
    "tilde": f"~!@#%^*()_+`{letters(20)}{{}}[]",
}


def forms(value: str) -> dict[str, str]:
    """The value as other programs write it."""
    data = value.encode()
    found = {
        "plain": value,
        "hex": data.hex(),
        "HEX": data.hex().upper(),
        "quote": quote(value),
        "component": quote(value, safe="-_.!~*'()"),
        "form": quote_plus(value),
        "json": json.dumps(value)[1:-1],
        "json_utf8": json.dumps(value, ensure_ascii=False)[1:-1],
        "shell": shlex.quote(value).removeprefix("'").removesuffix("'"),
    }
    for shift in range(3):
        # Without what the neighbours decide, too.
        whole = slice((shift * 8 + 5) // 6, (shift + len(data)) * 8 // 6)
        shifted = b"\0" * shift + data
        found[f"base64_{shift}"] = base64.b64encode(shifted).decode()[whole]
        found[f"base64url_{shift}"] = base64.urlsafe_b64encode(shifted).decode()[whole]
    return found


class Echo(http.server.BaseHTTPRequestHandler):
    """A model's provider that refuses, and repeats whatever it was sent in its refusal."""

    seen: list[str] = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        key = self.headers.get("x-api-key") or self.headers.get("authorization", "")
        self.seen.append(key)
        words = f"I do not like {key} of {base64.b64encode(key.encode()).decode()}: {body[-2000:]}"
        error = {"type": "error", "error": {"type": "invalid_request_error", "message": words}}
        data = json.dumps(error).encode()
        self.send_response(400)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


class Secrets(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--log", "trace", "--egress-allow-private", "127.0.0.1")
        cls.client = cls.server.client()
        cls.echo = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
        threading.Thread(target=cls.echo.serve_forever, daemon=True).start()

    @classmethod
    def tearDownClass(cls):
        cls.echo.shutdown()
        cls.server.stop()

    def test_twenty_canaries_are_nowhere_afterwards(self):
        values = {**{f"key-{provider}": key for provider, key in KEYS.items()}, **SECRETS}
        workspace = self.import_files(values)
        for name, value in SECRETS.items():
            request = wire.secret.CreateSecretRequest(name=name, value=value)
            self.assertTrue(self.client.secrets.CreateSecret(request, timeout=20).secret.redacted)
        for provider, key in KEYS.items():
            request = wire.workspace.SetProviderKeyRequest(workspace_id=workspace, provider=provider, key=key)
            self.client.workspaces.SetProviderKey(request, timeout=20)
        session = new_session(self.client, workspace)
        shown = self.show_everything(session)
        self.assertGreater(shown.count(MASK), 100)
        self.fail_a_turn(workspace)
        link, cookie = self.sign_in()
        other = self.server.command("token", "create", "another")
        self.server.client(other).accounts.GetMe(wire.account.GetMeRequest(), timeout=20)
        credentials = {"token": self.server.token, "other token": other, "link": link, "cookie": cookie}
        self.assertGreaterEqual(len(values) + len(credentials), 20)
        listed = self.client.secrets.ListSecrets(wire.secret.ListSecretsRequest(), timeout=20)
        self.assertEqual(len(listed.secrets), len(SECRETS))
        events = b"".join(event.SerializeToString() for event in history(self.client, session))
        places = {
            "shown": shown.encode(),
            "events": events,
            "list": listed.SerializeToString(),
            **self.pages(workspace, session, cookie),
            **self.files(workspace),
        }
        self.assertTrue(any(name.endswith("-wal") for name in places), list(places))
        self.assertGreater(sum(map(len, places.values())), 1_000_000)
        found = [
            f"{name} as {form} in {place}"
            for name, value in {**values, **credentials}.items()
            for form, spelling in forms(value).items()
            for place, content in places.items()
            if spelling.encode() in content and not (name == "cookie" and place.startswith("/"))
        ]
        self.assertEqual(found, [])

    def import_files(self, values: dict[str, str]) -> str:
        """A workspace with a file of every value in every form, each on a line of its own."""
        lines = [
            f"{name} {form} {spelling}"
            for name, value in values.items()
            for form, spelling in forms(value).items()
        ]
        data = archive(all__txt="\n".join(lines) + "\n", pem__txt=PEM, one__txt=SECRETS["plain"])
        imported = self.client.workspaces.ImportWorkspace(parts("canaries", data, 1 << 16), timeout=20)
        settings = wire.workspace.WorkspaceSettings(
            permission_mode=wire.workspace.PERMISSION_MODE_BYPASS_PERMISSIONS
        )
        update = wire.workspace.UpdateWorkspaceRequest(
            workspace=wire.workspace.Workspace(id=imported.workspace.id, settings=settings)
        )
        update.update_mask.paths.append("settings.permission_mode")
        self.client.workspaces.UpdateWorkspace(update, timeout=20)
        return imported.workspace.id

    def show_everything(self, session: str) -> str:
        """Has the agent show the files in every way, and answers all that a watcher was sent."""
        sent = send(
            self.client,
            session,
            "!read all.txt",
            "!read pem.txt",
            "!grep canary",
            "!bash cat all.txt pem.txt one.txt",
            "!bash cat all.txt >&2; exit 3",
            "!bash for i in 1 2 3 4 5 6 7 8; do cat all.txt; done",
            "!bash base64 one.txt; base64 -w 20 pem.txt; printf xx | cat - one.txt | base64",
            "!bash od -An -v -tx1 pem.txt | tr -d ' \\n'",
            "!bash while IFS= read -r -n1 c; do printf %s \"$c\"; done < one.txt; echo",
            "!bash head -c 20 one.txt; sleep 0.5; tail -c +21 one.txt",
            f"!say {SECRETS['plain']} {SECRETS['unicode']}",
        )
        held: dict[tuple[str, int], str] = {}
        shown = []
        call = watch(self.client, session, sent.sequence - 1, timeout=120)
        for message in call:
            if message.WhichOneof("kind") == "delta":
                delta = message.delta
                block = (delta.block_id, delta.kind)
                data = held.get(block, "").encode()
                self.assertLessEqual(delta.offset, len(data), "a gap between deltas")
                held[block] = (data[: delta.offset] + delta.text.encode()).decode()
                shown.append(delta.text)
            if message.WhichOneof("kind") != "event":
                continue
            shown.append(str(message.event))
            self.check_block(message.event, held)
            if wire.kind(message.event) == "turn_ended":
                call.cancel()
                break
        return "\n".join([*shown, *held.values()])

    def check_block(self, event, held: dict[tuple[str, int], str]) -> None:
        """What closes a block says what its deltas said."""
        if wire.kind(event) == "agent_text":
            text = event.payload.agent_text
            self.assertEqual(held.pop((text.block_id, wire.event.BLOCK_KIND_TEXT)), text.text)
        if wire.kind(event) == "tool_result":
            result = event.payload.tool_result
            streamed = held.pop((result.tool_call_id, wire.event.BLOCK_KIND_TOOL_OUTPUT), "")
            if not result.HasField("truncation"):
                self.assertTrue(result.content[0].text.startswith(streamed.rstrip("\n")), streamed)

    def fail_a_turn(self, workspace: str) -> None:
        settings = wire.workspace.WorkspaceSettings(
            provider=wire.workspace.PROVIDER_CUSTOM,
            base_url=f"http://127.0.0.1:{self.echo.server_port}",
            model="any",
        )
        update = wire.workspace.UpdateWorkspaceRequest(
            workspace=wire.workspace.Workspace(id=workspace, settings=settings)
        )
        update.update_mask.paths.extend(["settings.provider", "settings.base_url", "settings.model"])
        self.client.workspaces.UpdateWorkspace(update, timeout=20)
        session = new_session(self.client, workspace)
        sent = send(self.client, session, f"My password is {SECRETS['quotes']}, {SECRETS['long']}")
        events = events_until(self.client, session, "turn_ended", sent.sequence - 1)
        self.assertEqual(outcome(events), wire.event.TURN_OUTCOME_FAILED)
        self.assertIn(KEYS[wire.workspace.PROVIDER_CUSTOM], Echo.seen[-1])
        said = b"".join(event.SerializeToString() for event in events)
        for value in [KEYS[wire.workspace.PROVIDER_CUSTOM], SECRETS["quotes"], SECRETS["long"]]:
            for form, spelling in forms(value).items():
                self.assertNotIn(spelling.encode(), said, form)
        test = wire.workspace.TestProviderRequest(workspace_id=workspace)
        tested = self.client.workspaces.TestProvider(test, timeout=20)
        self.assertNotIn(KEYS[wire.workspace.PROVIDER_CUSTOM], str(tested))

    def sign_in(self) -> tuple[str, str]:
        link = urlsplit(self.server.command("login-link")).fragment.removeprefix("token=")
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        headers = {"content-type": "application/json"}
        connection.request("POST", "/auth/exchange", json.dumps({"token": link}), headers)
        cookie = connection.getresponse().headers["set-cookie"].split(";")[0]
        return link, cookie.split("=", 1)[1]

    def pages(self, workspace: str, session: str, cookie: str) -> dict[str, bytes]:
        home = f"/workspaces/{workspace}"
        pages = ["/", "/account", "/account/secrets", home, f"{home}/settings", f"{home}/changes"]
        pages.append(f"{home}/sessions/{session}")
        found = {}
        for page in pages:
            request = urllib.request.Request(self.server.url + page, headers={"cookie": f"membrane={cookie}"})
            with urllib.request.urlopen(request, timeout=20) as got:
                found[page] = got.read()
        return found

    def files(self, workspace: str) -> dict[str, bytes]:
        """All that the server has written, but not the files that people put there, nor what keeps
        their contents for the history of changes."""
        home = self.server.data / "workspaces" / workspace
        own = [home / "files", home / "store"]
        paths = [path for path in self.server.data.rglob("*") if path.is_file()]
        kept = [path for path in paths if not any(path.is_relative_to(place) for place in own)]
        return {str(path): path.read_bytes() for path in kept}


if __name__ == "__main__":
    unittest.main()
