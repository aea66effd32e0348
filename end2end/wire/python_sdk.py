"""The official Python SDK against the scripted model: a turn with tools, and every error."""

import json

import anthropic
import httpx2
from scripted import Checks, Scripted, equal, text

checks = Checks("python sdk")
TOOLS = [
    {
        "name": "Bash",
        "description": "Runs a command.",
        "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}},
    }
]
TURN = [
    {
        "content": [
            {"type": "thinking", "thinking": "I look at both before I say anything."},
            {"type": "text", "text": "Let me look at it – in two places."},
            {"type": "tool_use", "name": "Bash", "input": {"command": "cargo build --offline"}},
            {"type": "tool_use", "name": "Bash", "input": {}},
        ],
        "usage": {
            "input_tokens": 11,
            "output_tokens": 22,
            "cache_creation_input_tokens": 33,
            "cache_read_input_tokens": 44,
        },
    },
    text("The command said {{last_tool_result}}."),
]
ERRORS = [
    (400, anthropic.BadRequestError, "invalid_request_error"),
    (401, anthropic.AuthenticationError, "authentication_error"),
    (403, anthropic.PermissionDeniedError, "permission_error"),
    (404, anthropic.NotFoundError, "not_found_error"),
    (413, anthropic.RequestTooLargeError, "request_too_large"),
    (429, anthropic.RateLimitError, "rate_limit_error"),
    (500, anthropic.InternalServerError, "api_error"),
    (529, anthropic.InternalServerError, "overloaded_error"),
]


def client(server, retries=0, **settings):
    settings = {"api_key": "scripted", **settings}
    return anthropic.Anthropic(base_url=server.url, max_retries=retries, **settings)


def request(messages="hi", **more):
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    return {"model": "scripted", "max_tokens": 4096, "messages": messages, **more}


def raised(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} was raised")


def stream(server, retries=0, **more):
    """Streams a message, and returns it with its events."""
    with client(server, retries).messages.stream(**request(**more)) as events:
        events_seen = list(events)
        return events.get_final_message(), events_seen


def streamed_turn(server):
    server.play(*TURN)
    thinking = {"type": "enabled", "budget_tokens": 1024}
    settings = {"tools": TOOLS, "thinking": thinking}
    message, events = stream(server, **settings)
    equal([b.type for b in message.content], ["thinking", "text", "tool_use", "tool_use"])
    equal(message.content[1].text, "Let me look at it – in two places.")
    equal(message.content[2].input, {"command": "cargo build --offline"})
    equal(message.content[3].input, {})
    equal(message.stop_reason, "tool_use")
    assert message.content[0].signature, "thinking is signed"
    pieces = [e.partial_json for e in events if e.type == "input_json"]
    assert len(pieces) > 3, "the input comes in pieces"
    usage = message.usage
    equal((usage.input_tokens, usage.output_tokens), (11, 22))
    equal((usage.cache_creation_input_tokens, usage.cache_read_input_tokens), (33, 44))

    results = [
        {"type": "tool_result", "tool_use_id": b.id, "content": b.id[:5]}
        for b in message.content
        if b.type == "tool_use"
    ]
    messages = [
        {"role": "user", "content": "hi"},
        message.to_param(),
        {"role": "user", "content": results},
    ]
    message, _ = stream(server, messages=messages, **settings)
    equal(message.content[0].text, "The command said toolu.")
    equal(message.stop_reason, "end_turn")


def whole_message(server):
    server.play(*TURN)
    message = client(server).messages.create(**request(tools=TOOLS))
    equal([b.type for b in message.content], ["thinking", "text", "tool_use", "tool_use"])
    equal(message.usage.cache_creation.ephemeral_5m_input_tokens, 33)
    assert message._request_id.startswith("req_"), "the request has an id"


def status_error(server, status, kind, name, streaming):
    server.play({"error": {"status": status, "message": "because"}})
    if streaming:
        error = raised(kind, lambda: stream(server))
    else:
        error = raised(kind, lambda: client(server).messages.create(**request()))
    equal(error.status_code, status)
    equal(error.type, name)
    equal(error.body["error"], {"type": name, "message": "because"})
    equal(error.request_id, error.body["request_id"])
    equal(len(server.requests()), 1)


def retried(server, status):
    soon = {"retry-after-ms": "5"}
    server.play({"error": {"status": status, "headers": soon}, "times": 2}, text("at last"))
    message, _ = stream(server, retries=2)
    equal(message.content[0].text, "at last")
    counts = [r["headers"]["x-stainless-retry-count"] for r in server.requests()]
    equal(counts, ["0", "1", "2"])


def retries_end(server):
    server.play({"error": {"status": 529, "headers": {"retry-after-ms": "5"}}, "times": 9})
    raised(anthropic.InternalServerError, lambda: stream(server, retries=1))
    equal(len(server.requests()), 2)


def retry_after(server):
    server.play({"error": {"status": 429, "retry_after": 7}})
    error = raised(anthropic.RateLimitError, lambda: stream(server))
    equal(error.response.headers["retry-after"], "7")


def broken_stream(server, fault, kind):
    server.play({**text("a text of some length"), "fault": fault})
    return raised(kind, lambda: stream(server))


def overloaded_event(server):
    fault = {"kind": "error", "after": 4, "error": {"status": 529}}
    error = broken_stream(server, fault, anthropic.APIStatusError)
    equal(error.body["error"]["type"], "overloaded_error")


def refused(server, expected, **more):
    server.play(text("never"))
    error = raised(anthropic.BadRequestError, lambda: client(server).messages.create(**request(**more)))
    said = error.body["error"]["message"]
    assert expected in said, f"{said!r} lacks {expected!r}"


def refusals(server):
    call = {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}}
    open_call = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": "never mind"},
    ]
    refused(server, "without `tool_result` blocks immediately after: toolu_1", messages=open_call)
    refused(server, "at least one message is required", messages=[])
    refused(server, "1024", thinking={"type": "enabled", "budget_tokens": 1})
    bad_tool = {"name": "a.b", "input_schema": {"type": "object"}}
    refused(server, "tools.0.custom.name: String should match pattern", tools=[bad_tool])
    refused(server, "colour: Extra inputs are not permitted", extra_body={"colour": 1})
    refused(server, "temperature: Extra inputs are not permitted", extra_body={"temperature": 1})


def keys():
    with Scripted("--key", "right") as server:
        wrong = client(server, api_key="wrong")
        error = raised(anthropic.AuthenticationError, lambda: wrong.messages.create(**request()))
        equal(error.body["error"]["message"], "Invalid bearer token")
        client(server, api_key="right").messages.create(**request())
        # Where both are sent, the API takes the older header.
        both = client(server, api_key="wrong", default_headers={"x-api-key": "right"})
        both.messages.create(**request())
        equal([r["status"] for r in server.requests()], [401, 200, 200])
        equal(server.requests()[1]["key"], {"header": "authorization", "value": "right"})
        equal(server.requests()[2]["key"], {"header": "x-api-key", "value": "right"})


def tokens_and_models(server):
    one = client(server)
    counted = one.messages.count_tokens(model="scripted", messages=request()["messages"])
    assert counted.input_tokens > 1, "tokens are counted"
    equal([model.id for model in one.models.list()], ["scripted"])
    equal(one.models.retrieve("scripted").type, "model")


def main():
    with Scripted() as server:
        with checks.check("a streamed turn with thinking and parallel tools"):
            streamed_turn(server)
        with checks.check("a message that is not streamed"):
            whole_message(server)
        for status, kind, name in ERRORS:
            for streaming in (False, True):
                way = "streamed" if streaming else "whole"
                with checks.check(f"{status} is {kind.__name__} ({way})"):
                    status_error(server, status, kind, name, streaming)
        for status in (429, 500, 529):
            with checks.check(f"{status} twice is retried until it answers"):
                retried(server, status)
        with checks.check("retries come to an end"):
            retries_end(server)
        with checks.check("retry-after arrives"):
            retry_after(server)
        with checks.check("a cut stream is a broken protocol"):
            broken_stream(server, {"kind": "cut", "after": 4}, httpx2.RemoteProtocolError)
        with checks.check("malformed JSON in a stream is a decode error"):
            broken_stream(server, {"kind": "malformed", "after": 4}, json.JSONDecodeError)
        with checks.check("an error event is a status error"):
            overloaded_event(server)
        with checks.check("invalid requests are BadRequestError, and say what is wrong"):
            refusals(server)
        with checks.check("tokens are counted and models listed"):
            tokens_and_models(server)
    with checks.check("keys are checked, as bearer token and as header"):
        keys()
    checks.end()


main()
