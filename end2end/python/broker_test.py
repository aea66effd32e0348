"""The provider's own Python client, run by the agent inside the sandbox: it finds the model by its
environment alone, and the key stays outside."""

import json
import os
import subprocess
import sys
import unittest
import urllib.request
import uuid

import wire
from server import Server
from work import events_until, new_session, send

KEY = f"canary-{uuid.uuid4().hex}"
PROGRAM = '''
import json
import anthropic

ask = {"max_tokens": 200, "messages": [{"role": "user", "content": "!say One two three four."}]}
client = anthropic.Anthropic()
report = {}
whole = client.messages.create(model="small-model", **ask)
report["whole"] = whole.content[0].text
with client.messages.stream(model="small-model", **ask) as stream:
    report["pieces"] = sum(event.type == "text" for event in stream)
    report["streamed"] = stream.get_final_message().content[0].text
report["tokens"] = client.messages.count_tokens(
    model="small-model", messages=ask["messages"]
).input_tokens
report["models"] = [model.id for model in client.models.list()]

def refusal(call):
    try:
        call()
    except anthropic.APIStatusError as error:
        return [type(error).__name__, error.body["error"]["message"]]

report["other_model"] = refusal(lambda: client.messages.create(model="large-model", **ask))
stranger = anthropic.Anthropic(api_key="x")
report["stranger"] = refusal(lambda: stranger.messages.create(model="small-model", **ask))
client.messages.create(model="small-model", **ask)
report["limit"] = refusal(lambda: client.messages.create(model="small-model", **ask))
print(json.dumps(report))
'''


class Broker(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        command = [os.environ["E2E_SCRIPTED"], "--control", "--scenario", "puppet", "--key", KEY]
        cls.model = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        cls.model_url = cls.model.stdout.readline().strip()
        # The client's packages, and the Python that they were installed for.
        binds = [place for place in (sys.prefix, sys.base_prefix) if place != "/usr"]
        cls.server = Server(
            "--egress-allow-private", "127.0.0.1", "--sandbox-ro-binds", ":".join(binds)
        )
        cls.client = cls.server.client()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        cls.model.terminate()
        cls.model.wait(20)
        cls.model.stdout.close()

    def workspace(self) -> str:
        settings = wire.workspace.WorkspaceSettings(
            provider=wire.workspace.PROVIDER_CUSTOM,
            base_url=self.model_url,
            model="small-model",
            permission_mode=wire.workspace.PERMISSION_MODE_BYPASS_PERMISSIONS,
            allowed_models=["small-model"],
            model_access=True,
            limits=wire.event.UsageLimits(max_requests=4),
        )
        request = wire.workspace.CreateWorkspaceRequest(name="broker", settings=settings)
        workspace = self.client.workspaces.CreateWorkspace(request, timeout=20).workspace.id
        request = wire.workspace.SetProviderKeyRequest(
            workspace_id=workspace, provider=wire.workspace.PROVIDER_CUSTOM, key=KEY
        )
        self.client.workspaces.SetProviderKey(request, timeout=20)
        return workspace

    def recorded(self) -> list:
        with urllib.request.urlopen(f"{self.model_url}/_scripted/requests", timeout=20) as answer:
            return json.load(answer)

    def test_the_official_client_works_and_is_bounded(self):
        session = new_session(self.client, self.workspace())
        program = f"cat > ask.py <<'PROGRAM'{PROGRAM}PROGRAM\n{sys.prefix}/bin/python ask.py"
        sent = send(self.client, session, "!bash <<SCRIPT", program, "SCRIPT")
        # A machine that is busy takes its time to load the client.
        events = events_until(self.client, session, "turn_ended", sent.sequence, timeout=180)
        result = [e.payload.tool_result for e in events if wire.kind(e) == "tool_result"][0]
        printed = result.content[0].text
        self.assertFalse(result.is_error, printed)
        report = json.loads(printed.splitlines()[0])
        self.assertEqual(report["whole"], "One two three four.")
        self.assertEqual(report["streamed"], report["whole"])
        self.assertGreater(report["pieces"], 1)
        self.assertGreater(report["tokens"], 0)
        self.assertEqual(report["models"], ["small-model"])
        self.assertEqual(report["other_model"][0], "PermissionDeniedError")
        self.assertEqual(report["stranger"][0], "AuthenticationError")
        self.assertEqual(report["limit"][0], "PermissionDeniedError")
        self.assertIn("LIMIT_REQUESTS", report["limit"][1])

        ended = events[-1].payload.turn_ended
        self.assertEqual(ended.outcome, wire.event.TURN_OUTCOME_LIMIT_REACHED)
        self.assertEqual(ended.usage.requests, 4)
        recorded = self.recorded()
        self.assertEqual({one["key"]["value"] for one in recorded}, {KEY})
        self.assertEqual(
            sum(one["path"] == "/v1/messages" for one in recorded), 4, "none after the limit"
        )
        self.assertNotIn(KEY.encode(), b"".join(e.SerializeToString() for e in events))
        for path in self.server.data.rglob("*"):
            if path.is_file():
                self.assertNotIn(KEY.encode(), path.read_bytes(), path)
