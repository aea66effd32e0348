"""The client that anybody would generate from proto/: made anew in a temporary directory, so that a
test can only use what the schema says today."""

import atexit
import shutil
import sys
import tempfile
from pathlib import Path

import grpc
from grpc_tools import protoc

PROTO = Path(__file__).resolve().parents[2] / "proto"


def _generate() -> str:
    directory = tempfile.mkdtemp(prefix="membrane-stubs-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    well_known = Path(protoc.__file__).parent / "_proto"
    files = sorted(str(path.relative_to(PROTO)) for path in PROTO.glob("membrane/v1/*.proto"))
    arguments = [f"-I{PROTO}", f"-I{well_known}", f"--python_out={directory}"]
    if protoc.main(["protoc", *arguments, f"--grpc_python_out={directory}", *files]) != 0:
        raise SystemExit("FAILED proto/ could not be compiled for Python")
    sys.path.insert(0, directory)
    return directory


# Where programs of their own find the same stubs.
STUBS = _generate()

from membrane.v1 import account_pb2 as account  # noqa: E402
from membrane.v1 import account_pb2_grpc, change_pb2_grpc, event_pb2_grpc  # noqa: E402
from membrane.v1 import change_pb2 as change  # noqa: E402
from membrane.v1 import event_pb2 as event  # noqa: E402
from membrane.v1 import file_pb2 as file  # noqa: E402
from membrane.v1 import file_pb2_grpc  # noqa: E402
from membrane.v1 import run_pb2 as run  # noqa: E402
from membrane.v1 import run_pb2_grpc  # noqa: E402
from membrane.v1 import schedule_pb2 as schedule  # noqa: E402
from membrane.v1 import schedule_pb2_grpc  # noqa: E402
from membrane.v1 import secret_pb2 as secret  # noqa: E402
from membrane.v1 import secret_pb2_grpc  # noqa: E402
from membrane.v1 import session_pb2 as session  # noqa: E402
from membrane.v1 import session_pb2_grpc, workspace_pb2_grpc  # noqa: E402
from membrane.v1 import snapshot_pb2 as snapshot  # noqa: E402
from membrane.v1 import snapshot_pb2_grpc  # noqa: E402
from membrane.v1 import workspace_pb2 as workspace  # noqa: E402

OPTIONS = [
    # Every client is a connection of its own, and comes back soon after a server does.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 250),
    ("grpc.max_receive_message_length", 64 << 20),
]


class Client:
    """One connection with a token; its stubs add it to every call."""

    def __init__(self, address: str, token: str = ""):
        self.channel = grpc.insecure_channel(address, options=OPTIONS)
        channel = self.channel
        if token:
            channel = grpc.intercept_channel(channel, _Bearer(token))
        self.accounts = account_pb2_grpc.AccountServiceStub(channel)
        self.workspaces = workspace_pb2_grpc.WorkspaceServiceStub(channel)
        self.secrets = secret_pb2_grpc.SecretServiceStub(channel)
        self.sessions = session_pb2_grpc.SessionServiceStub(channel)
        self.events = event_pb2_grpc.EventServiceStub(channel)
        self.files = file_pb2_grpc.FileServiceStub(channel)
        self.changes = change_pb2_grpc.ChangeServiceStub(channel)
        self.runs = run_pb2_grpc.RunServiceStub(channel)
        self.snapshots = snapshot_pb2_grpc.SnapshotServiceStub(channel)
        self.schedules = schedule_pb2_grpc.ScheduleServiceStub(channel)

    def close(self) -> None:
        self.channel.close()


class _Bearer(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
):
    def __init__(self, token: str):
        self._header = ("authorization", f"Bearer {token}")

    def _call(self, continuation, details, request):
        details = details._replace(metadata=[*(details.metadata or []), self._header])
        return continuation(details, request)

    intercept_unary_unary = _call
    intercept_unary_stream = _call
    intercept_stream_unary = _call


def kind(one: event.Event) -> str:
    """The name of what happened."""
    return one.payload.WhichOneof("kind") or ""
