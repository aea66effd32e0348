"""What the tests do over and over: a workspace, a session, a message, and watching it."""

import grpc

import wire
from wire import Client


def new_workspace(client: Client, name: str, ask: bool = False) -> wire.workspace.Workspace:
    """A workspace on the scripted model, whose tools run without asking unless `ask`."""
    mode = (
        wire.workspace.PERMISSION_MODE_DEFAULT
        if ask
        else wire.workspace.PERMISSION_MODE_BYPASS_PERMISSIONS
    )
    settings = wire.workspace.WorkspaceSettings(permission_mode=mode)
    request = wire.workspace.CreateWorkspaceRequest(name=name, settings=settings)
    return client.workspaces.CreateWorkspace(request, timeout=20).workspace


def new_session(client: Client, workspace_id: str) -> str:
    request = wire.session.CreateSessionRequest(workspace_id=workspace_id)
    return client.sessions.CreateSession(request, timeout=20).session.id


def send(client: Client, session_id: str, *lines: str) -> wire.session.SendMessageResponse:
    request = wire.session.SendMessageRequest(session_id=session_id, text="\n".join(lines))
    return client.sessions.SendMessage(request, timeout=20)


def stream_of(session_id: str) -> str:
    return f"sessions/{session_id}"


def watch(client: Client, session_id: str, after: int = 0, timeout: float = 60):
    cursor = wire.event.StreamCursor(stream=stream_of(session_id), after_sequence=after)
    return client.events.Watch(wire.event.WatchRequest(cursors=[cursor]), timeout=timeout)


def events_until(client: Client, session_id: str, last: str, after: int = 0, timeout: float = 60):
    """The stored events that arrive up to the first of a kind."""
    call = watch(client, session_id, after, timeout)
    seen = []
    for message in call:
        if message.WhichOneof("kind") != "event":
            continue
        seen.append(message.event)
        if wire.kind(message.event) == last:
            call.cancel()
            return seen
    raise AssertionError(f"the stream ended before a {last}")


def turn(client: Client, session_id: str, *lines: str) -> list:
    """Sends a message and returns the events of its turn."""
    sent = send(client, session_id, *lines)
    return events_until(client, session_id, "turn_ended", sent.sequence)


def history(client: Client, session_id: str, page_size: int = 1000) -> list:
    """All stored events, read in pages."""
    stored = []
    while True:
        after = stored[-1].sequence if stored else 0
        request = wire.event.ListEventsRequest(
            stream=stream_of(session_id), after_sequence=after, page_size=page_size
        )
        page = client.events.ListEvents(request, timeout=20)
        stored.extend(page.events)
        if not page.has_more:
            return stored


def answer(client: Client, session_id: str, asked, decision: int, reason: str = "") -> None:
    request = wire.session.ResolvePermissionRequest(
        session_id=session_id,
        permission_request_id=asked.payload.permission_requested.permission_request_id,
        decision=decision,
        reason=reason,
    )
    client.sessions.ResolvePermission(request, timeout=20)


def outcome(events: list) -> int:
    return events[-1].payload.turn_ended.outcome


def code_of(call) -> grpc.StatusCode:
    """The status with which a call is refused."""
    try:
        call()
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK
