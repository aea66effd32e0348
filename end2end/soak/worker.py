"""A thread that can be told to stop, and whose error is kept for the report instead of being lost."""

import threading
import traceback


class Worker(threading.Thread):
    def __init__(self, name: str):
        super().__init__(name=name, daemon=True)
        self.stopping = threading.Event()
        self.error = ""

    def run(self) -> None:
        try:
            self.work()
        except Exception:
            self.error = f"{self.name}: {traceback.format_exc()}"

    def work(self) -> None:
        raise NotImplementedError

    def rest(self, seconds: float) -> None:
        """Sleeps, but not for longer than the thread is wanted."""
        self.stopping.wait(seconds)


def join_all(workers: list[Worker], seconds: float) -> list[Worker]:
    """Tells all to stop, and returns those that did not."""
    for worker in workers:
        worker.stopping.set()
    for worker in workers:
        worker.join(seconds)
    return [worker for worker in workers if worker.is_alive()]
