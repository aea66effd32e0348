"""Runs with a runner in another language: the example, as somebody would start it, against a server
that is killed and started again."""

import os
import subprocess
import sys
import time
import unittest
import urllib.request
from pathlib import Path

import grpc

import wire
from server import Server, eventually, processes_with
from work import new_workspace

EXAMPLE = Path(__file__).resolve().parents[2] / "runner" / "examples" / "python" / "runner.py"
FINAL = {wire.event.RUN_STATE_SUCCEEDED, wire.event.RUN_STATE_FAILED, wire.event.RUN_STATE_CANCELLED}


class Runs(unittest.TestCase):
    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.stop)
        self.client = self.server.client()
        self.workspace = new_workspace(self.client, "runs").id
        self.runners = []
        request = wire.run.CreateRunnerTokenRequest(name="example")
        self.token = self.client.runs.CreateRunnerToken(request, timeout=20).secret

    def tearDown(self):
        for runner in self.runners:
            runner.kill()
            runner.wait()

    def start_runner(self) -> subprocess.Popen:
        kept = {name: os.environ[name] for name in ["PATH", "HOME"] if name in os.environ}
        environment = {**kept, "MEMBRANE_RUNNER_TOKEN": self.token, "PYTHONPATH": wire.STUBS}
        command = [sys.executable, str(EXAMPLE), self.server.address]
        runner = subprocess.Popen(command, env=environment)
        self.runners.append(runner)
        return runner

    def write(self, path: str, text: str) -> None:
        request = wire.file.WriteFileRequest(
            workspace_id=self.workspace, path=path, content=text.encode()
        )
        self.client.files.WriteFile(request, timeout=20)

    def read(self, path: str) -> str:
        request = wire.file.ReadFileRequest(workspace_id=self.workspace, path=path)
        return b"".join(part.data for part in self.client.files.ReadFile(request)).decode()

    def names(self) -> list[str]:
        request = wire.file.ListFilesRequest(workspace_id=self.workspace)
        return [file.path for file in self.client.files.ListFiles(request, timeout=20).files]

    def queue(self, prompt: str) -> str:
        spec = wire.run.RunSpec(prompt=prompt)
        request = wire.run.CreateRunRequest(workspace_id=self.workspace, spec=spec)
        return self.client.runs.CreateRun(request, timeout=20).run.id

    def get(self, run: str):
        return self.client.runs.GetRun(
            wire.run.GetRunRequest(run_id=run), timeout=20, wait_for_ready=True
        ).run

    def until_ended(self, run: str, seconds: float = 60):
        ended = lambda: self.get(run).state in FINAL  # noqa: E731
        eventually("the run has ended", ended, seconds)
        return self.get(run)

    def log(self, run: str) -> list:
        request = wire.event.ListEventsRequest(stream=f"runs/{run}", page_size=1000)
        return list(self.client.events.ListEvents(request, timeout=20).events)

    def output(self, run: str) -> str:
        return "".join(event.payload.run_output.text for event in self.log(run))

    def test_a_runner_in_python_gets_the_files_works_and_sends_them_back(self):
        self.write("greeting.txt", "hello\n")
        self.write("bin/shout", "#!/bin/sh\ntr a-z A-Z\n")
        self.start_runner()
        prompt = "sh bin/shout <greeting.txt >loud.txt && mkdir -p deep && ln -s ../loud.txt deep/link && cat loud.txt"
        ended = self.until_ended(self.queue(prompt))
        self.assertEqual(ended.state, wire.event.RUN_STATE_SUCCEEDED, ended)
        # It has ended first, and is applied right after.
        applied = lambda: self.get(ended.id).apply_state == wire.run.APPLY_STATE_APPLIED  # noqa: E731
        eventually("its result is applied", applied)
        self.assertEqual(self.output(ended.id), "HELLO\n")
        self.assertEqual(self.read("loud.txt"), "HELLO\n")
        self.assertEqual(self.read("deep/link"), "HELLO\n")

    def test_a_command_that_fails_changes_nothing(self):
        self.write("file.txt", "as it was\n")
        self.start_runner()
        ended = self.until_ended(self.queue("echo other >file.txt; echo sorry; exit 3"))
        self.assertEqual(ended.state, wire.event.RUN_STATE_FAILED)
        self.assertEqual(ended.message, "The command ended with 3.")
        self.assertEqual(self.output(ended.id), "sorry\n")
        self.assertEqual(self.read("file.txt"), "as it was\n")

    def test_a_run_goes_on_when_the_server_is_killed_and_started_again(self):
        self.start_runner()
        prompt = "for i in 1 2 3 4 5 6 7 8; do echo line $i; sleep 0.5; done; echo done >made.txt"
        run = self.queue(prompt)
        eventually("it prints", lambda: "line 2" in self.output(run))
        self.server.kill()
        time.sleep(1)
        self.server.start()
        ended = self.until_ended(run)
        self.assertEqual(ended.state, wire.event.RUN_STATE_SUCCEEDED, ended)
        self.assertEqual(ended.attempt, 1, "nobody took it away")
        lines = "".join(f"line {number}\n" for number in range(1, 9))
        self.assertEqual(self.output(run), lines, "nothing is lost, nothing is there twice")
        sequences = [event.sequence for event in self.log(run)]
        self.assertEqual(sequences, list(range(1, len(sequences) + 1)))
        made = lambda: "made.txt" in self.names()  # noqa: E731
        eventually("its result is applied", made)
        self.assertEqual(self.read("made.txt"), "done\n")

    def test_a_killed_runners_run_is_another_ones(self):
        first = self.start_runner()
        run = self.queue("echo at work; sleep 5; echo $PPID >made.txt")
        eventually("it works", lambda: "at work" in self.output(run))
        first.kill()
        first.wait()
        self.start_runner()
        # A lease is thirty seconds, and a second attempt begins after a pause of two.
        ended = self.until_ended(run, 90)
        self.assertEqual(ended.state, wire.event.RUN_STATE_SUCCEEDED, ended)
        self.assertEqual(ended.attempt, 2)
        reasons = [event.payload.run_state_changed.reason for event in self.log(run)]
        self.assertEqual(reasons.count("LEASE_EXPIRED"), 1)

    def test_a_cancelled_run_stops_within_a_heartbeat(self):
        self.start_runner()
        run = self.queue("echo at work; sleep 987.5")
        eventually("it works", lambda: "at work" in self.output(run))
        self.client.runs.CancelRun(wire.run.CancelRunRequest(run_id=run), timeout=20)
        ended = self.until_ended(run, 30)
        self.assertEqual(ended.state, wire.event.RUN_STATE_CANCELLED)
        eventually("nothing of it is left", lambda: not processes_with("sleep\0987.5"))

    def test_a_runner_token_is_no_users(self):
        runner = self.server.client(self.token)
        with self.assertRaises(grpc.RpcError) as refused:
            runner.workspaces.ListWorkspaces(wire.workspace.ListWorkspacesRequest(), timeout=20)
        self.assertEqual(refused.exception.code(), grpc.StatusCode.PERMISSION_DENIED)
        request = urllib.request.Request(
            f"{self.server.url}/workspaces/{self.workspace}/files/raw?path=x",
            headers={"authorization": f"Bearer {self.token}"},
        )
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=20)
        self.assertEqual(refused.exception.code, 403)
