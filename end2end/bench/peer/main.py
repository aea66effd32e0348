"""A peer in the shape that many agent servers have: FastAPI, WebSockets, SQLite. Each event is
stored in a commit of its own and then sent to its subscribers, as JSON text.

It speaks the same lines with the driver as our own servers: what to produce comes on standard
input, what was done goes to standard output.
"""

import argparse
import asyncio
import json
import socket
import sqlite3
import sys
import threading
import time
from collections import defaultdict
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse

PAGE = "<!doctype html><title>Peer</title><form><input name=token><button>Sign in</button></form>"


class Log:
    """Events in SQLite and their subscribers. Lives on the event loop's thread."""

    def __init__(self, path: str):
        self.database = sqlite3.connect(path)
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            self.database.execute(f"PRAGMA {pragma}")
        self.database.execute(
            "CREATE TABLE IF NOT EXISTS events (session INTEGER, sequence INTEGER, "
            "create_time INTEGER, text TEXT, PRIMARY KEY (session, sequence))"
        )
        self.database.commit()
        self.sequences = defaultdict(int)
        self.subscribers = defaultdict(set)

    async def append(self, session: int, text: str) -> None:
        self.sequences[session] += 1
        sequence = self.sequences[session]
        row = (session, sequence, time.time_ns() // 1_000_000, text)
        self.database.execute("INSERT INTO events VALUES (?, ?, ?, ?)", row)
        self.database.commit()
        message = json.dumps({"session": session, "sequence": sequence, "text": text})
        for subscriber in tuple(self.subscribers[session]):
            await subscriber.send_text(message)


def text_of(moment: int, index: int, size: int) -> str:
    return f"{moment:020} {index:010} ".ljust(size, "x")


async def produce(log: Log, plan: dict) -> dict:
    begun = time.monotonic_ns()
    if plan["interval"] > 0:
        await produce_on_time(log, plan)
    else:
        each = plan["count"] // plan["sessions"]
        await asyncio.gather(*(burst(log, session, each, plan) for session in range(plan["sessions"])))
    return {"seconds": (time.monotonic_ns() - begun) / 1e9}


async def produce_on_time(log: Log, plan: dict) -> None:
    """A thread keeps the time: the loop's own timers are a millisecond coarse."""
    loop, due = asyncio.get_running_loop(), asyncio.Queue()

    def pace():
        for index in range(plan["count"]):
            moment = plan["start"] + index * plan["interval"]
            wait = moment - time.monotonic_ns()
            if wait > 0:
                time.sleep(wait / 1e9)
            loop.call_soon_threadsafe(due.put_nowait, (index, moment))

    threading.Thread(target=pace, daemon=True).start()
    for _ in range(plan["count"]):
        index, moment = await due.get()
        await log.append(index % plan["sessions"], text_of(moment, index, plan["bytes"]))


async def burst(log: Log, session: int, count: int, plan: dict) -> None:
    for index in range(count):
        await log.append(session, text_of(time.monotonic_ns(), index, plan["bytes"]))
        await asyncio.sleep(0)


def obey(log: Log, loop: asyncio.AbstractEventLoop, address: str, stop) -> None:
    print(json.dumps({"address": address, "streams": [], "tokens": []}), flush=True)
    for line in sys.stdin:
        plan = json.loads(line)["Produce"]
        done = asyncio.run_coroutine_threadsafe(produce(log, plan), loop).result()
        print(json.dumps(done), flush=True)
    loop.call_soon_threadsafe(stop)


def application(log: Log, on_start) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_app):
        on_start(asyncio.get_running_loop())
        yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/health")
    async def health() -> dict:
        return {"status": "healthy"}

    @app.get("/sign-in", response_class=HTMLResponse)
    async def sign_in() -> str:
        return PAGE

    @app.websocket("/sessions/{session}/events")
    async def events(websocket: WebSocket, session: int):
        await websocket.accept()
        log.subscribers[session].add(websocket)
        await websocket.send_text('{"caught_up": true}')
        try:
            while True:
                await websocket.receive_text()
        except WebSocketDisconnect:
            log.subscribers[session].discard(websocket)

    return app


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--database", required=True)
    database = arguments.parse_args().database
    log = Log(database)
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    host, port = listener.getsockname()

    def stop():
        server.should_exit = True

    def on_start(loop):
        parts = (log, loop, f"{host}:{port}", stop)
        threading.Thread(target=obey, args=parts, daemon=True).start()

    # No pings: the driver's subscribers rest while others are measured.
    app = application(log, on_start)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws_ping_interval=None))
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()
