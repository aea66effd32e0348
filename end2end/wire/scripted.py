"""Starts the scripted model for a test peer, and counts what was checked."""

import json
import os
import subprocess
import sys
import traceback
import urllib.request
from contextlib import contextmanager


class Scripted:
    """A running server with its control enabled."""

    def __init__(self, *arguments):
        binary = os.environ["MEMBRANE_SCRIPTED"]
        command = [binary, "--control", "--scenario", "puppet", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=20)

    def play(self, *steps, **scenario):
        """Loads a scenario of these steps and forgets the requests so far."""
        self._control("PUT", "scenario", {"steps": list(steps), **scenario})
        self._control("DELETE", "requests")

    def requests(self):
        """The requests for messages since `play`."""
        recorded = self._control("GET", "requests")
        return [r for r in recorded if r["path"].endswith("/v1/messages")]

    def _control(self, method, name, body=None):
        url = f"{self.url}/_scripted/{name}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, method=method)
        with urllib.request.urlopen(request, timeout=20) as response:
            text = response.read()
        return json.loads(text) if text else None


class Checks:
    """Runs checks, prints each, and remembers whether one failed."""

    def __init__(self, peer):
        self.peer = peer
        self.failed = 0

    @contextmanager
    def check(self, name):
        try:
            yield
        except Exception:
            self.failed += 1
            print(f"FAILED {self.peer}: {name}", flush=True)
            traceback.print_exc()
        else:
            print(f"ok {self.peer}: {name}", flush=True)

    def end(self):
        sys.exit(1 if self.failed else 0)


def text(words):
    return {"content": [{"type": "text", "text": words}]}


def equal(left, right):
    assert left == right, f"{left!r} is not {right!r}"
