"""The real command-line agent against the scripted model: a turn with tools, and every error."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from scripted import Checks, Scripted, equal, text

checks = Checks("cli")
CLI = Path(__file__).parent / "node_modules/.bin/claude"
PACE = {"chunk_ms": 1}


class Run:
    """One run of the CLI: its messages, and how it ended."""

    def __init__(self, server, prompt, *options, retries=2, files=None):
        with tempfile.TemporaryDirectory(prefix="membrane-wire-") as place:
            place = Path(place)
            for name in ("home", "config", "work"):
                (place / name).mkdir()
            for name, content in (files or {}).items():
                (place / "work" / name).write_text(content)
            command = [CLI, "-p", prompt, "--output-format", "stream-json", "--verbose"]
            command += ["--model", "scripted", *options]
            ended = subprocess.run(
                command,
                cwd=place / "work",
                env=environment(server, place, retries),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=120,
            )
            work = (place / "work").iterdir()
            self.files = {file.name: file.read_text() for file in work if file.is_file()}
        self.code = ended.returncode
        lines = [line for line in ended.stdout.splitlines() if line.startswith("{")]
        self.messages = [json.loads(line) for line in lines]
        self.result = next((m for m in self.messages if m["type"] == "result"), None)
        assert self.result, f"no result: {ended.stdout}{ended.stderr}"

    def of(self, kind, subtype=None):
        return [m for m in self.messages if m["type"] == kind and m.get("subtype") == subtype]

    def blocks(self, kind):
        messages = self.of("assistant") + self.of("user")
        blocks = [b for m in messages for b in m["message"]["content"]]
        return [b for b in blocks if isinstance(b, dict) and b["type"] == kind]


def environment(server, place, retries):
    """Nothing of ours but the path, so that no settings or keys of this machine play a part."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(place / "home"),
        "CLAUDE_CONFIG_DIR": str(place / "config"),
        "ANTHROPIC_BASE_URL": server.url,
        "ANTHROPIC_API_KEY": "scripted",
        "CLAUDE_CODE_MAX_RETRIES": str(retries),
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_ERROR_REPORTING": "1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }


def tool_turn(server):
    server.play(otherwise="puppet", pace=PACE)
    program = "!think I count.\n!say Let me count.\n!bash echo $((40 + 2)) && echo done"
    run = Run(server, program, "--allowedTools", "Bash", "--include-partial-messages")
    equal((run.code, run.result["subtype"], run.result["is_error"]), (0, "success", False))
    equal([b["thinking"] for b in run.blocks("thinking")], ["I count."])
    equal([b["name"] for b in run.blocks("tool_use")], ["Bash"])
    equal([b["content"] for b in run.blocks("tool_result")], ["42\ndone"])
    assert "1 tool calls, 0 failed" in run.result["result"], run.result["result"]
    assert len(run.of("stream_event")) > 20, "the answer arrives in pieces"
    first = server.requests()[0]
    equal(first["key"], {"header": "x-api-key", "value": "scripted"})
    equal(first["headers"]["anthropic-version"], "2023-06-01")
    equal([r["status"] for r in server.requests()], [200, 200])


def parallel_tools(server):
    server.play(otherwise="puppet")
    run = Run(server, "!parallel\n!bash echo a\n!read note.txt\n!end", "--allowedTools", "Bash", files={"note.txt": "from the file\n"})
    equal([b["name"] for b in run.blocks("tool_use")], ["Bash", "Read"])
    results = json.dumps([b["content"] for b in run.blocks("tool_result")])
    assert "from the file" in results, results
    equal(len(server.requests()), 2)


def usage(server):
    tokens = {
        "input_tokens": 11,
        "output_tokens": 22,
        "cache_creation_input_tokens": 33,
        "cache_read_input_tokens": 44,
    }
    server.play({**text("hi"), "usage": tokens})
    run = Run(server, "hello")
    equal({name: run.result["usage"][name] for name in tokens}, tokens)


def refused_tool(server):
    server.play(otherwise="puppet")
    run = Run(server, "!write made.txt hello")
    equal(run.blocks("tool_result")[0]["is_error"], True)
    assert "1 failed" in run.result["result"], run.result["result"]
    equal(run.files, {})


def demo(server):
    server.play(otherwise="demo")
    tools = "Bash,Read,Write,Edit,Glob,Grep,TodoWrite"
    run = Run(server, "Show me what you can do", "--permission-mode", "acceptEdits", "--allowedTools", tools)
    equal(run.result["is_error"], False)
    called = [b["name"] for b in run.blocks("tool_use")]
    assert {"Write", "Bash", "Edit"} <= set(called), called
    assert "a script, not a model" in run.result["result"], run.result["result"]
    assert "- [x] edited" in run.files["MEMBRANE.md"], run.files


def fatal(server, status, says):
    server.play({"error": {"status": status}, "times": 9})
    run = Run(server, "hello", retries=0)
    equal((run.code, run.result["is_error"]), (1, True))
    equal(run.result["api_error_status"], status)
    assert says in run.result["result"], run.result["result"]


def retried(server, status, says):
    server.play({"error": {"status": status, "retry_after": 1}, "times": 2}, text("at last"))
    run = Run(server, "hello")
    equal(run.result["result"], "at last")
    retries = run.of("system", "api_retry")
    equal([r["error_status"] for r in retries], [status, status])
    equal({r["error"] for r in retries}, {says})
    equal([r["status"] for r in server.requests()], [status, status, 200])


def obeyed_retry_after(server):
    server.play({"error": {"status": 429, "retry_after": 2}}, text("at last"))
    run = Run(server, "hello")
    equal([r["retry_delay_ms"] for r in run.of("system", "api_retry")], [2000])


def broken(server, fault):
    """The CLI asks again, without streaming, when a stream breaks before its first block ends."""
    server.play({**text("never seen whole"), "fault": fault}, text("whole"))
    run = Run(server, "hello")
    equal((run.result["is_error"], run.result["result"]), (False, "whole"))
    bodies = [r["body"] for r in server.requests()]
    equal([body.get("stream", False) for body in bodies], [True, False])


def broken_late(server):
    server.play({**text("seen"), "fault": {"kind": "cut", "after": 5}, "times": 9})
    run = Run(server, "hello")
    equal(run.result["is_error"], True)
    assert "Connection closed mid-response" in run.result["result"], run.result["result"]


def main():
    with Scripted(*sys.argv[1:]) as server:
        with checks.check("a streamed turn with thinking and a tool"):
            tool_turn(server)
        with checks.check("two tools in one answer"):
            parallel_tools(server)
        with checks.check("tokens are reported"):
            usage(server)
        with checks.check("a tool that is not allowed is told so"):
            refused_tool(server)
        with checks.check("the demo runs to its end"):
            demo(server)
        for status, says in [
            (400, "API Error: 400"),
            (401, "API key"),
            (403, "403"),
            (404, "issue with the selected model"),
            (429, "429"),
            (500, "500"),
            (529, "529"),
        ]:
            with checks.check(f"{status} ends the turn as an error"):
                fatal(server, status, says)
        for status, says in [(429, "rate_limit"), (500, "server_error"), (529, "overloaded")]:
            with checks.check(f"{status} twice is retried until it answers"):
                retried(server, status, says)
        with checks.check("retry-after is obeyed"):
            obeyed_retry_after(server)
        overloaded = {"kind": "error", "after": 4, "error": {"status": 529}}
        for name, fault in [
            ("a cut stream", {"kind": "cut", "after": 4}),
            ("a stream that ends early", {"kind": "end", "after": 4}),
            ("malformed JSON in a stream", {"kind": "malformed", "after": 3}),
            ("an error event", overloaded),
        ]:
            with checks.check(f"{name} is asked for again"):
                broken(server, fault)
        with checks.check("a stream cut after a whole block ends the turn as an error"):
            broken_late(server)
    checks.end()


main()
