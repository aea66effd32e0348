"""A reader of one stream that may lose its connection at any moment. It checks what every client
relies on: events numbered without a gap or a duplicate, and deltas that fit together to exactly
the text that is stored."""

import json

import wire


class Reader:
    def __init__(self):
        self.events: list[wire.event.Event] = []
        self.blocks: dict[tuple[str, int], bytes] = {}
        self.reassembled = 0
        self.end: wire.event.End | None = None
        self._live: set[tuple[str, int]] = set()
        self._caught_up = False

    @property
    def cursor(self) -> int:
        return self.events[-1].sequence if self.events else 0

    def connected(self) -> None:
        """To be called before each new connection: what it missed may be missing in open blocks."""
        self._live.clear()
        self._caught_up = False

    def take(self, message: wire.event.WatchResponse) -> None:
        kind = message.WhichOneof("kind")
        if kind == "event":
            self._event(message.event)
        elif kind == "delta":
            self._delta(message.delta)
        elif kind == "caught_up":
            self._caught_up = True
        elif kind == "lag":
            self._live.clear()
        elif kind == "end":
            self.end = message.end

    def _event(self, event) -> None:
        expected = self.cursor + 1
        assert event.sequence == expected, f"event {event.sequence} came instead of {expected}"
        self.events.append(event)
        stored = stored_block(event)
        if stored is None:
            return
        key, text = stored
        held = self.blocks.pop(key, None)
        if key in self._live:
            self._live.discard(key)
            assert same(key, held, text), f"the deltas of {key} are not what is stored"
            self.reassembled += 1
        elif held is not None and key[1] != wire.event.BLOCK_KIND_TOOL_INPUT:
            assert text.startswith(held), f"{key} began otherwise than what is stored"

    def _delta(self, delta) -> None:
        key = (delta.block_id, delta.kind)
        held = self.blocks.get(key, b"")
        if not self._caught_up:
            assert delta.offset == 0, "an open block comes whole to a new connection"
        assert delta.offset <= len(held), f"bytes {len(held)} to {delta.offset} of {key} are missing"
        self.blocks[key] = held[: delta.offset] + delta.text.encode()
        # A block that comes whole again may be stored before its next delta is sent, which then
        # isn't. One that goes on live is sent to its end.
        if delta.offset > 0:
            self._live.add(key)
        else:
            self._live.discard(key)


def stored_block(event):
    """Block and text of the event that closes a block; tool output is stored cut, so not it."""
    payload = event.payload
    kind = wire.kind(event)
    if kind == "agent_text":
        return (payload.agent_text.block_id, wire.event.BLOCK_KIND_TEXT), payload.agent_text.text.encode()
    if kind == "agent_thinking":
        thinking = payload.agent_thinking
        return (thinking.block_id, wire.event.BLOCK_KIND_THINKING), thinking.text.encode()
    if kind == "tool_call":
        call = payload.tool_call
        return (call.tool_call_id, wire.event.BLOCK_KIND_TOOL_INPUT), call.input_json.encode()
    return None


def same(key, held: bytes, stored: bytes) -> bool:
    if key[1] == wire.event.BLOCK_KIND_TOOL_INPUT:
        return json.loads(held) == json.loads(stored)
    return held == stored


def check_against(reader: Reader, stored: list) -> None:
    """That a reader has seen exactly what is stored."""
    assert [event.sequence for event in stored] == list(range(1, len(stored) + 1)), "gaps in the log"
    assert len(reader.events) == len(stored), f"{len(reader.events)} of {len(stored)} events arrived"
    for seen, kept in zip(reader.events, stored):
        assert seen == kept, f"event {seen.sequence} is stored otherwise than it was sent"
