"""Writes a long history into a session that has none: quicker than telling it.

    long_session.py <database> <session id> <turns> <calls in each>
"""

import sqlite3
import sys
import time


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def field(number, value):
    """One field of a message: text, a message, or a number."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def message(**fields):
    """A message of fields that are named f1, f2 and so on."""
    return b"".join(field(int(name[1:]), value) for name, value in fields.items())


def turn(number, calls):
    """The payloads of a turn: who asks, what is said and called, and the end."""
    yield message(f10=message(f1=f"Tell chapter {number}.", f3="Ada"))
    yield message(f12=message(f1="scripted", f2="demo"))
    story = " ".join(["it goes on and on,"] * number * 3)
    yield message(f14=message(f1=f"begin-{number}", f2=f"Chapter {number}: {story}"))
    for call in range(calls):
        name = f"turn{number}-call{call}"
        yield message(f16=message(f1=name, f2="Glob", f3=f'{{"pattern":"{name}"}}'))
        yield message(f17=message(f1=name, f2=message(f1=f"Nothing is called {name}.")))
    yield message(f14=message(f1=f"end-{number}", f2=f"End of chapter {number}."))
    yield message(f13=message(f1=1))


def main(database, session, turns, calls):
    now = int(time.time() * 1000)
    rows = []
    for number in range(1, turns + 1):
        for payload in turn(number, calls):
            rows.append((f"sessions/{session}", len(rows) + 1, now, f"turn-{number}", payload))
    with sqlite3.connect(database, timeout=30) as connection:
        connection.executemany(
            "INSERT INTO events (stream, sequence, create_time, turn_id, payload)"
            " VALUES (?, ?, ?, ?, ?)",
            rows,
        )
    print(len(rows))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
