"""Runs with our own runner: the program as an operator starts it, an agent on the scripted model, and
everything that can happen to either of them meanwhile."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request
import uuid
from pathlib import Path

import grpc

import wire
from postgres import WithPostgres
from server import PROGRAM, Server, eventually, free_port, processes_with
from work import code_of, new_workspace

RUNNER = Path(PROGRAM).with_name("membrane-runner")
FINAL = {wire.event.RUN_STATE_SUCCEEDED, wire.event.RUN_STATE_FAILED, wire.event.RUN_STATE_CANCELLED}


class Work:
    """What a workspace's runs come to."""

    def __init__(self, server: Server, workspace: str):
        self.client = server.client()
        self.workspace = workspace

    def queue(self, *lines: str, **spec) -> str:
        spec = wire.run.RunSpec(prompt="\n".join(lines), **spec)
        request = wire.run.CreateRunRequest(workspace_id=self.workspace, spec=spec)
        return self.client.runs.CreateRun(request, timeout=20).run.id

    def get(self, run: str):
        request = wire.run.GetRunRequest(run_id=run)
        return self.client.runs.GetRun(request, timeout=20, wait_for_ready=True).run

    def cancel(self, run: str) -> None:
        self.client.runs.CancelRun(wire.run.CancelRunRequest(run_id=run), timeout=20)

    def ended(self, run: str, seconds: float = 60):
        eventually("the run has ended", lambda: self.get(run).state in FINAL, seconds)
        return self.get(run)

    def applied(self, run: str):
        ended = self.ended(run)
        applied = lambda: self.get(run).apply_state == wire.run.APPLY_STATE_APPLIED  # noqa: E731
        eventually(f"the result is applied, after {ended}", applied)
        return ended

    def log(self, run: str) -> list:
        request = wire.event.ListEventsRequest(stream=f"runs/{run}", page_size=1000)
        return list(self.client.events.ListEvents(request, timeout=20).events)

    def kinds(self, run: str) -> list[str]:
        return [wire.kind(event) for event in self.log(run)]

    def reasons(self, run: str) -> list[str]:
        changes = [event for event in self.log(run) if wire.kind(event) == "run_state_changed"]
        return [event.payload.run_state_changed.reason for event in changes]

    def output(self, run: str) -> str:
        """What the tools of a run have answered."""
        results = [event for event in self.log(run) if wire.kind(event) == "tool_result"]
        return "".join(
            part.text for event in results for part in event.payload.tool_result.content
        )

    def answers(self, run: str) -> list[tuple[str, bool]]:
        """What each tool of a run has answered, and whether that was an error."""
        results = [event for event in self.log(run) if wire.kind(event) == "tool_result"]
        results = [event.payload.tool_result for event in results]
        return [("".join(part.text for part in it.content), it.is_error) for it in results]

    def runs(self) -> list:
        request = wire.run.ListRunsRequest(workspace_id=self.workspace)
        return list(self.client.runs.ListRuns(request, timeout=20).runs)

    def schedules(self) -> list:
        request = wire.schedule.ListSchedulesRequest(workspace_id=self.workspace)
        return list(self.client.schedules.ListSchedules(request, timeout=20).schedules)

    def is_called(self, run: str) -> bool:
        return "tool_call" in self.kinds(run)

    def write(self, path: str, text: str) -> None:
        request = wire.file.WriteFileRequest(
            workspace_id=self.workspace, path=path, content=text.encode()
        )
        self.client.files.WriteFile(request, timeout=20)

    def read(self, path: str) -> str:
        request = wire.file.ReadFileRequest(workspace_id=self.workspace, path=path)
        return b"".join(part.data for part in self.client.files.ReadFile(request)).decode()


def tool(name: str, **given) -> str:
    """A line that calls a tool of the built-in MCP server."""
    return "!json " + json.dumps({"name": f"mcp__membrane__{name}", "input": given})


class Runner:
    """The program, with a directory of its own that outlives it."""

    def __init__(self, server: Server, token: str, *flags: str):
        self.directory = tempfile.TemporaryDirectory(prefix="membrane-runner-")
        self.work_dir = Path(self.directory.name)
        self.command = [str(RUNNER), "--server-url", server.url, "--work-dir", str(self.work_dir)]
        self.command += ["--heartbeat-ms", "500", *flags]
        kept = {name: os.environ[name] for name in ["PATH", "HOME"] if name in os.environ}
        self.environment = {**kept, "MEMBRANE_RUNNER_TOKEN": token}
        self.start()

    def start(self) -> None:
        with open(self.work_dir / "log", "ab") as log:
            self.process = subprocess.Popen(
                self.command, env=self.environment, stdout=log, stderr=log
            )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def jobs(self) -> list[str]:
        return os.listdir(self.work_dir / "jobs")

    def log(self) -> str:
        return (self.work_dir / "log").read_text(errors="replace")

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        log = self.log()
        self.directory.cleanup()
        assert "panicked at" not in log, f"the runner has panicked:\n{log[-4000:]}"


class Runs(unittest.TestCase):
    flags: tuple[str, ...] = ()

    def setUp(self):
        self.server = Server(*self.flags)
        self.addCleanup(self.server.stop)
        self.client = self.server.client()
        self.work = Work(self.server, new_workspace(self.client, "runs").id)

    def token(self, **of) -> str:
        request = wire.run.CreateRunnerTokenRequest(name="runner", **of)
        return self.client.runs.CreateRunnerToken(request, timeout=20).secret

    def runner(self, *flags: str) -> Runner:
        runner = Runner(self.server, self.token(), *flags)
        self.addCleanup(runner.stop)
        return runner

    def assertContiguous(self, run: str):
        sequences = [event.sequence for event in self.work.log(run)]
        self.assertEqual(sequences, list(range(1, len(sequences) + 1)))

    def test_an_agent_works_in_the_sandbox_and_what_it_made_comes_back(self):
        self.work.write("greeting.txt", "hello\n")
        runner = self.runner()
        run = self.work.queue(
            "!bash tr a-z A-Z <greeting.txt >loud.txt && mkdir deep && ln -s ../loud.txt deep/link",
            "!bash id -u; ls /; ls -a ~; cat /proc/1/environ; env",
            "!write made.txt by the agent",
        )
        ended = self.work.applied(run)
        self.assertEqual(ended.state, wire.event.RUN_STATE_SUCCEEDED, ended)
        self.assertEqual(self.work.read("loud.txt"), "HELLO\n")
        self.assertEqual(self.work.read("deep/link"), "HELLO\n")
        self.assertIn("by the agent", self.work.read("made.txt"))
        self.assertGreater(ended.usage.requests, 1)
        self.assertContiguous(run)
        # Nothing of how it is connected is to be seen from inside, and nothing stays outside.
        inside = self.work.output(run)
        for secret in [runner.environment["MEMBRANE_RUNNER_TOKEN"], "mba_", "mbr_", self.server.url]:
            self.assertNotIn(secret, inside)
        eventually("its directory is gone", lambda: not runner.jobs())

    def test_the_next_run_begins_with_what_the_last_one_installed(self):
        self.work.write("notes", "as it was\n")
        runner = self.runner()
        first = self.work.queue(
            "!bash mkdir -p node_modules/package && echo installed >node_modules/package/index.js",
            "!bash echo known >~/settings; echo made >made; ls",
        )
        self.work.applied(first)
        self.work.write("notes", "as somebody left it\n")
        second = self.work.queue("!bash cat node_modules/package/index.js ~/settings made notes")
        self.work.ended(second)
        said = self.work.output(second)
        self.assertIn("installed\nknown\nmade\nas somebody left it\n", said)
        eventually("its directory is gone", lambda: not runner.jobs())
        # Whatever happens to what is kept, a run has the right files.
        (cache,) = (runner.work_dir / "caches").iterdir()
        shutil.rmtree(cache / "tree")
        for blob in (cache / "store" / "blobs").rglob("*"):
            if blob.is_file():
                blob.chmod(0o600)
                blob.write_bytes(b"x" * blob.stat().st_size)
        third = self.work.queue("!bash cat made notes; ls -a")
        self.work.ended(third)
        self.assertIn("made\nas somebody left it\n", self.work.output(third))
        self.assertNotIn("node_modules", self.work.output(third))

    def test_a_cancelled_run_leaves_no_process(self):
        self.runner()
        run = self.work.queue(
            "!bash (setsid sh -c 'sleep 876.5 & sleep 876.5' &) ; sleep 876.5",
        )
        eventually("it works", lambda: processes_with("sleep\0876.5"))
        begun = time.monotonic()
        self.work.cancel(run)
        ended = self.work.ended(run, 30)
        self.assertEqual(ended.state, wire.event.RUN_STATE_CANCELLED, ended)
        eventually("nothing is left", lambda: not processes_with("sleep\0876.5"), 15)
        self.assertLess(time.monotonic() - begun, 15)

    def test_a_run_goes_on_when_the_server_is_killed_and_started_again(self):
        self.runner()
        run = self.work.queue(
            "!bash for i in 1 2 3 4 5 6; do echo line $i; sleep 0.5; done",
            "!bash echo second; echo done >made.txt",
        )
        eventually("it works", lambda: self.work.is_called(run))
        self.server.kill()
        time.sleep(2)
        self.server.start()
        ended = self.work.applied(run)
        self.assertEqual(ended.attempt, 1, "nobody took it away")
        lines = "".join(f"line {number}\n" for number in range(1, 7))
        self.assertIn(lines, self.work.output(run))
        self.assertEqual(self.work.kinds(run).count("tool_result"), 2)
        self.assertContiguous(run)
        self.assertEqual(self.work.read("made.txt"), "done\n")

    def test_a_runner_that_is_killed_and_started_again_tells_what_it_knows(self):
        runner = self.runner()
        run = self.work.queue("!bash echo before", "!bash sleep 865.5 || true")
        eventually("it works", lambda: processes_with("sleep\0865.5"))
        runner.kill()
        eventually("nothing is left", lambda: not processes_with("sleep\0865.5"), 10)
        # Long before the lease is lost, it says what became of the attempt.
        runner.start()
        told = lambda: "RUNNER_RETRY" in self.work.reasons(run)  # noqa: E731
        eventually("it is told", told, 15)
        self.assertIn("before", self.work.output(run))
        eventually("another attempt works", lambda: processes_with("sleep\0865.5"), 30)
        self.assertEqual(self.work.get(run).attempt, 2)
        self.work.cancel(run)
        self.work.ended(run)
        self.assertContiguous(run)

    def test_a_runner_that_was_asleep_changes_nothing_any_more(self):
        first = self.runner()
        run = self.work.queue(
            "!bash for i in $(seq 200); do echo $i; sleep 0.2; done; touch late-654",
            "!bash echo second round",
        )
        eventually("it works", lambda: self.work.is_called(run))
        os.kill(first.process.pid, signal.SIGSTOP)
        lost = lambda: "LEASE_EXPIRED" in self.work.reasons(run)  # noqa: E731
        eventually("its lease is lost", lost, 60)
        self.assertEqual(self.work.reasons(run).count("LEASE_EXPIRED"), 1)
        # Another runner has it now.
        self.runner()
        taken = lambda: self.work.get(run).attempt == 2 and len(self.work.log(run)) > 6  # noqa: E731
        eventually("another one works on it", taken, 30)
        os.kill(first.process.pid, signal.SIGCONT)
        eventually("it gives up", lambda: not first.jobs(), 10)
        self.work.cancel(run)
        ended = self.work.ended(run)
        self.assertEqual(ended.attempt, 2)
        self.assertEqual(ended.state, wire.event.RUN_STATE_CANCELLED)
        self.assertContiguous(run)
        # What the first one had left to tell was refused.
        self.assertIn("lease is lost", first.log())

    def test_a_runner_that_is_told_to_stop_finishes_what_it_has(self):
        runner = self.runner()
        first = self.work.queue("!bash sleep 3", "!write made.txt by the agent")
        eventually("it works", lambda: self.work.is_called(first))
        second = self.work.queue("!bash true")
        runner.process.terminate()
        self.assertEqual(runner.process.wait(30), 0)
        self.assertEqual(self.work.applied(first).attempt, 1)
        self.assertEqual(self.work.get(second).state, wire.event.RUN_STATE_QUEUED)

    def test_two_signals_hand_a_run_over(self):
        runner = self.runner()
        run = self.work.queue("!bash sleep 954.5")
        eventually("it works", lambda: processes_with("sleep\0954.5"))
        runner.process.terminate()
        eventually("it hears the first", lambda: "nothing more" in runner.log())
        runner.process.terminate()
        self.assertEqual(runner.process.wait(15), 0)
        self.assertIn("RUNNER_RETRY", self.work.reasons(run))
        self.assertFalse(processes_with("sleep\0954.5"))

    def test_several_runs_are_at_work_at_the_same_time(self):
        self.runner("--capacity", "3")
        runs = [self.work.queue("!bash sleep 843.5") for _ in range(4)]
        at_work = lambda: len(processes_with("sleep\0843.5")) >= 3  # noqa: E731
        eventually("three are at work", at_work)
        states = [self.work.get(run).state for run in runs]
        self.assertEqual(states.count(wire.event.RUN_STATE_QUEUED), 1)
        for run in runs:
            self.work.cancel(run)
        for run in runs:
            self.work.ended(run)

    def test_a_limit_ends_a_run_and_says_so(self):
        settings = wire.workspace.WorkspaceSettings(limits=wire.event.UsageLimits(max_requests=2))
        request = wire.workspace.CreateWorkspaceRequest(name="limited", settings=settings)
        made = self.client.workspaces.CreateWorkspace(request, timeout=20).workspace
        work = Work(self.server, made.id)
        self.runner()
        ended = work.ended(work.queue("!bash true", "!bash true", "!bash true", "!bash true"))
        self.assertEqual(ended.state, wire.event.RUN_STATE_FAILED)
        self.assertIn("limit", ended.message)
        self.assertEqual(ended.usage.requests, 2)

    def test_a_runner_without_a_sandbox_lets_an_agent_only_read(self):
        self.work.write("here.txt", "here\n")
        self.runner("--sandbox", "none")
        settings = wire.workspace.WorkspaceSettings(
            permission_mode=wire.workspace.PERMISSION_MODE_DEFAULT
        )
        request = wire.workspace.CreateWorkspaceRequest(name="asks", settings=settings)
        made = self.client.workspaces.CreateWorkspace(request, timeout=20).workspace
        work = Work(self.server, made.id)
        work.write("here.txt", "here\n")
        run = work.queue("!read here.txt", "!bash touch /tmp/outside-321")
        ended = work.ended(run)
        self.assertEqual(ended.state, wire.event.RUN_STATE_SUCCEEDED, ended)
        self.assertFalse(Path("/tmp/outside-321").exists())
        notices = [event.payload.notice for event in work.log(run) if wire.kind(event) == "notice"]
        self.assertIn("NOBODY_TO_ASK", [notice.reason for notice in notices])

    def test_an_agent_plans_more_work_and_that_work_plans_none(self):
        runner = self.runner()
        other = Work(self.server, new_workspace(self.client, "other").id)
        foreign = other.queue("!say A plan of somebody else.", labels={"of": "nobody"})
        more = "\n".join([tool("list_runs"), tool("create_run", prompt="!say Once more.")])
        run = self.work.queue(
            tool("create_schedule", cron="@daily", time_zone="UTC", prompt="!say Good night."),
            tool("create_run", prompt=more, title="more", workspace_id=self.work.workspace),
            tool("create_run", prompt="!say Hello.", workspace_id=other.workspace),
            tool("get_run", run_id=foreign),
            tool("list_runs", states=["queued", "claimed", "running"]),
        )
        ended = self.work.ended(run)
        self.assertEqual(ended.state, wire.event.RUN_STATE_SUCCEEDED, ended)
        self.assertNotIn("notice", self.work.kinds(run))
        answers = self.work.answers(run)
        self.assertEqual([error for _, error in answers], [False, False, True, True, False], answers)
        self.assertIn(self.work.workspace, answers[2][0])
        self.assertEqual(answers[3][0], "run not found")
        self.assertIn(run, [one["id"] for one in json.loads(answers[4][0])["runs"]])
        [schedule] = self.work.schedules()
        self.assertEqual(schedule.id, json.loads(answers[0][0])["id"])
        self.assertTrue(schedule.enabled and schedule.by_agent, schedule)
        # The run that it has queued is worked on, and may look, and plans nothing.
        queued = json.loads(answers[1][0])["id"]
        ended = self.work.ended(queued)
        self.assertEqual((ended.title, ended.by_agent), ("more", True))
        self.assertEqual(ended.user_id, self.work.get(run).user_id)
        (_, listed), (told, refused) = self.work.answers(queued)
        self.assertEqual((listed, refused), (False, True))
        self.assertIn("an agent has asked for this run", told)
        self.assertEqual({one.id for one in self.work.runs()}, {run, queued})
        self.assertEqual([one.id for one in other.runs()], [foreign])
        self.assertFalse(other.get(foreign).cancel_requested)
        log = (self.server.data / "serve.log").read_text(errors="replace")
        self.assertIn("an agent named something of another workspace", log)
        # A runner holds a lease's token, which shows up nowhere.
        for text in [self.work.output(run), log, runner.log()]:
            self.assertNotIn("mba_", text)

    def test_a_token_that_is_none_ends_the_runner(self):
        runner = Runner(self.server, "mbr_nonsense")
        self.addCleanup(runner.stop)
        self.assertNotEqual(runner.process.wait(20), 0)
        self.assertIn("token", runner.log())


class RunsWithPostgres(WithPostgres, Runs):
    """The same with a database that several servers could share."""


class Keys(unittest.TestCase):
    """The provider's key stays with the server, also when programs inside ask the model."""

    def setUp(self):
        self.key = f"canary-{uuid.uuid4().hex}"
        command = [os.environ["E2E_SCRIPTED"], "--control", "--scenario", "puppet"]
        self.model = subprocess.Popen(
            [*command, "--key", self.key], stdout=subprocess.PIPE, text=True
        )
        self.addCleanup(self.model.stdout.close)
        self.addCleanup(self.model.wait, 20)
        self.addCleanup(self.model.terminate)
        self.model_url = self.model.stdout.readline().strip()
        self.server = Server("--egress-allow-private", "127.0.0.1")
        self.addCleanup(self.server.stop)

    def test_programs_inside_ask_the_model_and_see_no_key(self):
        client = self.server.client()
        settings = wire.workspace.WorkspaceSettings(
            provider=wire.workspace.PROVIDER_CUSTOM,
            base_url=self.model_url,
            model="small-model",
            model_access=True,
        )
        request = wire.workspace.CreateWorkspaceRequest(name="keys", settings=settings)
        made = client.workspaces.CreateWorkspace(request, timeout=20).workspace
        stored = wire.workspace.SetProviderKeyRequest(
            workspace_id=made.id, provider=wire.workspace.PROVIDER_CUSTOM, key=self.key
        )
        client.workspaces.SetProviderKey(stored, timeout=20)
        token = client.runs.CreateRunnerToken(
            wire.run.CreateRunnerTokenRequest(name="runner"), timeout=20
        ).secret
        runner = Runner(self.server, token)
        self.addCleanup(runner.stop)
        work = Work(self.server, made.id)
        ask = json.dumps(
            {
                "model": "small-model",
                "max_tokens": 100,
                "messages": [{"role": "user", "content": "!say Seven."}],
            }
        )
        curl = (
            "curl --silent --noproxy '*' --header \"x-api-key: $ANTHROPIC_API_KEY\""
            f" --data '{ask}' $ANTHROPIC_BASE_URL/v1/messages"
        )
        run = work.queue(
            f"!bash {curl}",
            "!bash curl --silent --noproxy '*' --header 'x-api-key: x' $ANTHROPIC_BASE_URL/v1/models",
            "!bash env",
        )
        ended = work.ended(run)
        self.assertEqual(ended.state, wire.event.RUN_STATE_SUCCEEDED, ended)
        output = work.output(run)
        self.assertIn("Seven.", output)
        self.assertIn("authentication_error", output)
        inside = [
            event.payload.inside_request
            for event in work.log(run)
            if wire.kind(event) == "inside_request"
        ]
        self.assertEqual(len(inside), 1)
        self.assertTrue(inside[0].tool_call_id)
        engine = work.kinds(run).count("model_usage")
        self.assertEqual(ended.usage.requests, engine + 1, "everything is counted once")
        self.assertNotIn(self.key, output)
        self.assertNotIn("mbi_", output, "a token is masked in what is told")
        self.assertNotIn(self.key, runner.log())
        self.assertNotIn(self.key, str(work.log(run)))


class Apart(unittest.TestCase):
    """A port of their own for runners."""

    def test_runners_are_served_there_and_nowhere_else(self):
        port = free_port()
        server = Server("--runner-listen", f"127.0.0.1:{port}", "--embedded-runner", "true")
        self.addCleanup(server.stop)
        client = server.client()
        work = Work(server, new_workspace(client, "runs").id)
        # The server's own runner knows where.
        work.applied(work.queue("!write made.txt by the agent"))
        request = wire.run.CreateRunnerTokenRequest(name="runner")
        token = client.runs.CreateRunnerToken(request, timeout=20).secret
        claim = wire.run.ClaimRunRequest(runner_name="runner")
        here, there = server.client(token), wire.Client(f"127.0.0.1:{port}", token)
        self.addCleanup(there.close)
        refused = code_of(lambda: here.runs.ClaimRun(claim, timeout=20))
        self.assertEqual(refused, grpc.StatusCode.PERMISSION_DENIED)
        self.assertEqual(code_of(lambda: there.runs.ClaimRun(claim, timeout=20)), grpc.StatusCode.OK)
        user = wire.Client(f"127.0.0.1:{port}", server.token)
        self.addCleanup(user.close)
        own = lambda: user.accounts.GetMe(wire.account.GetMeRequest(), timeout=20)  # noqa: E731
        self.assertEqual(code_of(own), grpc.StatusCode.UNIMPLEMENTED)
        self.assertEqual(
            code_of(lambda: user.runs.ClaimRun(claim, timeout=20)),
            grpc.StatusCode.PERMISSION_DENIED,
        )
        attempt = f"/runs/{uuid.uuid4()}/attempts/1"
        for path in ["/v1/messages", "/mcp"]:
            for address, statuses in [(server.address, (404, 405)), (f"127.0.0.1:{port}", (401,))]:
                url = f"http://{address}{attempt}{path}"
                asked = urllib.request.Request(url, data=b"{}", method="POST")
                with self.assertRaises(urllib.error.HTTPError) as answer:
                    urllib.request.urlopen(asked, timeout=20)
                self.assertIn(answer.exception.code, statuses, url)
                answer.exception.close()


class Called(unittest.TestCase):
    """A runner that is there, and claims nothing unless the server calls it."""

    TOKEN = "only the server calls with this"

    def setUp(self):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/invoke"
        with tempfile.NamedTemporaryFile("w", delete=False) as file:
            file.write(self.TOKEN)
        self.addCleanup(os.unlink, file.name)
        token = ("--runner-invoke-token-file", file.name)
        self.server = Server("--runner-dispatch-url", self.url, *token)
        self.addCleanup(self.server.stop)
        client = self.server.client()
        self.work = Work(self.server, new_workspace(client, "called").id)
        request = wire.run.CreateRunnerTokenRequest(name="runner")
        self.runner_token = client.runs.CreateRunnerToken(request, timeout=20).secret
        called = ["--invoke-listen", f"127.0.0.1:{self.port}", "--invoke-token-file", file.name]
        self.runner = Runner(self.server, self.runner_token, *called)
        self.addCleanup(self.runner.stop)

    def test_it_works_when_it_is_called_and_one_token_is_not_the_other(self):
        eventually("it listens", lambda: self.call("GET", "/health") == 200)
        # Called by nobody, it claims nothing.
        run = self.work.queue("!bash echo called > made")
        self.work.applied(run)
        self.assertEqual(self.work.read("made"), "called\n")
        runs = [self.work.queue(f"!bash echo {number} > made-{number}") for number in range(3)]
        for run in runs:
            self.assertEqual(self.work.ended(run).state, wire.event.RUN_STATE_SUCCEEDED)
        self.assertEqual(self.call("POST", "/invoke"), 401)
        self.assertEqual(self.call("POST", "/invoke", self.runner_token), 401)
        # The last run keeps its place until its directory is gone.
        eventually("there is room", lambda: self.call("POST", "/invoke", self.TOKEN) == 204)
        self.assertEqual(self.call("GET", "/invoke", self.TOKEN), 405)
        self.assertEqual(self.call("POST", "/", self.TOKEN), 404)
        pretender = self.server.client(self.TOKEN)
        claim = lambda: pretender.runs.ClaimRun(  # noqa: E731
            wire.run.ClaimRunRequest(runner_name="pretender"), timeout=20
        )
        self.assertEqual(code_of(claim), grpc.StatusCode.UNAUTHENTICATED)

    def test_told_to_stop_it_finishes_what_it_has_and_claims_nothing_more(self):
        first = self.work.queue("!bash sleep 3.7531")
        eventually("it works", lambda: processes_with("sleep\0" "3.7531"))
        second = self.work.queue("!bash echo for another one")
        self.runner.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.runner.process.wait(30), 0, self.runner.log())
        self.assertEqual(self.work.get(first).state, wire.event.RUN_STATE_SUCCEEDED)
        self.assertEqual(self.work.get(second).state, wire.event.RUN_STATE_QUEUED)

    def call(self, method: str, path: str, token: str = "") -> int:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        if token:
            request.add_header("authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status
        except urllib.error.HTTPError as refused:
            return refused.code
        except OSError:
            return 0


class Embedded(unittest.TestCase):
    """The runner that a server starts for itself."""

    def setUp(self):
        self.server = Server("--embedded-runner", "true")
        self.addCleanup(self.server.stop)
        self.work = Work(self.server, new_workspace(self.server.client(), "runs").id)

    def test_it_needs_nothing_else_and_ends_with_its_server(self):
        run = self.work.queue("!write made.txt by the agent")
        self.work.applied(run)
        self.assertIn("by the agent", self.work.read("made.txt"))
        name = f"--work-dir={self.server.data}/runner"
        self.assertEqual(len(processes_with(name)), 1)
        second = self.work.queue("!bash sleep 921.5", "!bash true")
        eventually("it works", lambda: processes_with("sleep\0921.5"))
        self.server.kill()
        eventually("it has ended", lambda: not processes_with(name), 10)
        eventually("nothing is left", lambda: not processes_with("sleep\0921.5"), 10)
        self.server.start()
        # It is told at once that the attempt is over, and there is another one.
        again = lambda: self.work.get(second).attempt == 2  # noqa: E731
        eventually("there is another attempt", again, 25)
        self.work.cancel(second)
        self.work.ended(second)
        tokens = self.work.client.runs.ListRunnerTokens(
            wire.run.ListRunnerTokensRequest(), timeout=20
        ).runner_tokens
        self.assertEqual([token.name for token in tokens], ["embedded"])
