"""A runner in a hundred lines: it claims runs, gets the files as a zip, does what the prompt says as a
shell command, tells what that prints, sends the files back as a zip, and ends the run.

    python3 -m grpc_tools.protoc --proto_path=proto --python_out=stubs --grpc_python_out=stubs \
        proto/membrane/v1/*.proto
    MEMBRANE_RUNNER_TOKEN=<your-token> PYTHONPATH=stubs python3 runner.py 127.0.0.1:3000

It runs commands with its own rights and without a sandbox: for trying things out, and to read.
"""

import io
import os
import subprocess
import sys
import tempfile
import threading
import zipfile
from pathlib import Path

import grpc
from google.protobuf.duration_pb2 import Duration
from membrane.v1 import event_pb2 as event
from membrane.v1 import run_pb2 as run
from membrane.v1 import run_pb2_grpc

HEARTBEAT_SECONDS = 10
CHUNK = 1 << 20


class Bearer(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
):
    """Adds the token to every call."""

    def __init__(self, token):
        self.header = ("authorization", f"Bearer {token}")

    def call(self, continuation, details, request):
        metadata = [*(details.metadata or []), self.header]
        return continuation(details._replace(metadata=metadata), request)

    intercept_unary_unary = intercept_unary_stream = intercept_stream_unary = call


class Lease:
    """A claimed run. A thread of its own renews it, whatever else takes long."""

    def __init__(self, stub, claimed):
        self.stub, self.proof = stub, claimed.lease
        self.stop, self.done = threading.Event(), threading.Event()
        self.cancelled, self.told = False, 0
        threading.Thread(target=self._renew, daemon=True).start()

    def _renew(self):
        while not self.done.wait(HEARTBEAT_SECONDS):
            try:
                answer = self.stub.HeartbeatRun(run.HeartbeatRunRequest(lease=self.proof), timeout=10)
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE:  # The server may be back in time.
                    self.stop.set()
                continue
            if answer.cancel_requested:
                self.cancelled = True
                self.stop.set()

    def tell(self, text):
        output = event.EventPayload(run_output=event.RunOutput(text=text))
        request = run.AppendRunEventsRequest(
            lease=self.proof, first_number=self.told + 1, events=[output]
        )
        # Sent again with the same number it is stored once, so waiting for the server is safe.
        self.told = self.stub.AppendRunEvents(request, wait_for_ready=True, timeout=60).last_number

    def files(self):
        parts = self.stub.DownloadRunBase(run.DownloadRunBaseRequest(lease=self.proof))
        return b"".join(part.chunk for part in parts)

    def send(self, archive):
        def parts():
            yield run.UploadRunResultRequest(lease=self.proof)
            for start in range(0, len(archive), CHUNK):
                yield run.UploadRunResultRequest(chunk=archive[start : start + CHUNK])

        self.stub.UploadRunResult(parts())

    def finish(self, outcome, message):
        self.done.set()
        request = run.FinishRunRequest(lease=self.proof, outcome=outcome, message=message)
        self.stub.FinishRun(request, wait_for_ready=True, timeout=60)


def unpack(archive, directory):
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        for entry in source.infolist():
            path = Path(source.extract(entry, directory))
            mode = entry.external_attr >> 16
            if mode & 0o170000 == 0o120000:
                target = path.read_bytes()
                path.unlink()
                path.symlink_to(os.fsdecode(target))
            elif not entry.is_dir():
                path.chmod(0o755 if mode & 0o100 else 0o644)


def pack(directory):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for path in sorted(Path(directory).rglob("*")):
            name = str(path.relative_to(directory))
            if path.is_symlink():
                entry = zipfile.ZipInfo(name)
                entry.create_system, entry.external_attr = 3, 0o120777 << 16
                target.writestr(entry, os.readlink(path))
            else:
                target.write(path, name)
    return archive.getvalue()


def work(lease, prompt, directory):
    """Runs the command until it ends or the lease says stop, and answers its exit status."""
    command = subprocess.Popen(
        ["sh", "-c", prompt],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    watch = threading.Thread(
        target=lambda: lease.stop.wait() and os.killpg(command.pid, 9), daemon=True
    )
    watch.start()
    for line in command.stdout:
        lease.tell(line)
    return command.wait()


def attempt(stub, claimed):
    lease = Lease(stub, claimed)
    try:
        stub.StartRun(run.StartRunRequest(lease=lease.proof))
        with tempfile.TemporaryDirectory() as directory:
            unpack(lease.files(), directory)
            status = work(lease, claimed.run.spec.prompt, directory)
            if lease.cancelled:
                return lease.finish(run.RUN_OUTCOME_CANCELLED, "It was stopped.")
            lease.send(pack(directory))
        outcome = run.RUN_OUTCOME_FAILED if status else run.RUN_OUTCOME_SUCCEEDED
        lease.finish(outcome, f"The command ended with {status}.")
    except grpc.RpcError as error:
        print(f"{claimed.run.id} is given up: {error.details()}", file=sys.stderr)
    finally:
        lease.done.set()


def main(address):
    bearer = Bearer(os.environ["MEMBRANE_RUNNER_TOKEN"])
    channel = grpc.intercept_channel(grpc.insecure_channel(address), bearer)
    stub = run_pb2_grpc.RunServiceStub(channel)
    while True:
        request = run.ClaimRunRequest(runner_name=f"example-{os.getpid()}", wait=Duration(seconds=20))
        try:
            claimed = stub.ClaimRun(request, wait_for_ready=True)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise
            continue
        if claimed.HasField("run"):
            attempt(stub, claimed)


if __name__ == "__main__":
    main(sys.argv[1])
