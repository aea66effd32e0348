"""Runs, sessions and watches while faults are injected, then the report; run.sh starts it."""

import os
import random
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import wire
from availability import Availability, Probe
from calls import CALL_TIME, Anywhere
from chaos import Chaos
from check_runs import RunCheck
from check_streams import tell_sessions, tell_watches
from fleet import Fleet
from load import UNFINISHED, Creator
from report import Report
from server import eventually
from talking import Talker, read_log
from watching import RunFollower, SessionFollower
from worker import Worker, join_all

ARTEFACTS = Path(__file__).resolve().parents[1] / "artefacts"
DEFAULT_MINUTES, MOST_MINUTES = 10.0, 30.0
SEEDS = 10**6
CREATORS = 6
SESSIONS = 3
# Seconds that whoever is told to stop may take: the last call may have to be made at both servers
# many times, and the last turn may be another server's.
LAST_CALL = 300
# Seconds in which the runs that are left have to end. Each may be tried three times, with a lease to
# be lost in between.
DRAIN = 420
# How a runner says that what it wrote was refused with STALE_LEASE. At the end the attempt may have
# been ended by the very call that is refused when it is repeated.
STALE = {"at work": "the lease is lost", "at the end": "the end could not be told"}
# Seconds in which a watch has to be told what has happened.
TOLD = 30


class Soak:
    def __init__(self, cleanup: ExitStack, seed: int):
        self.fleet = Fleet(cleanup)
        self.anywhere = Anywhere(self.fleet.clients)
        workspaces = self.fleet.workspaces
        clients = self.fleet.clients
        self.creators = [
            Creator(number, seed, self.anywhere, workspaces) for number in range(CREATORS)
        ]
        self.talkers = [
            Talker(number, seed, self.anywhere, workspaces[number]) for number in range(SESSIONS)
        ]
        self.run_followers = [
            RunFollower(number, creator.to_watch, clients)
            for number, creator in enumerate(self.creators)
        ]
        self.session_followers = {
            talker: [SessionFollower(talker.session, clients, side) for side in range(len(clients))]
            for talker in self.talkers
        }
        self.availability = Availability()
        self.probes = [
            Probe(name, server, self.availability) for name, server in self.fleet.servers.items()
        ]
        self.chaos = Chaos(self.fleet, seed)
        self.stuck: list[Worker] = []

    def everybody(self) -> list[Worker]:
        sessions = [one for pair in self.session_followers.values() for one in pair]
        asking = [*self.creators, *self.talkers, *self.probes]
        return [*asking, *self.run_followers, *sessions, self.chaos]

    def run(self, seconds: float) -> None:
        for worker in self.everybody():
            worker.start()
        self.chaos.join(seconds)
        self.stuck += join_all([self.chaos], LAST_CALL)
        print("the faults end", flush=True)
        self.stuck += join_all([*self.creators, *self.talkers], LAST_CALL)
        print("nothing more is asked for", flush=True)
        self._drain()
        join_all(self.probes, LAST_CALL)
        self._end_watches()

    def _drain(self) -> None:
        try:
            eventually("all runs have ended", lambda: not self._unfinished(), DRAIN)
        except AssertionError as error:
            print(error, flush=True)  # The report says which.

    def _unfinished(self) -> bool:
        time.sleep(1)
        return any(self._has_unfinished(workspace) for workspace in self.fleet.workspaces)

    def _has_unfinished(self, workspace: str) -> bool:
        request = wire.run.ListRunsRequest(workspace_id=workspace, states=UNFINISHED, page_size=1)
        page = self.anywhere.call(lambda at: at.runs.ListRuns(request, timeout=CALL_TIME))
        return bool(page.runs)

    def _end_watches(self) -> None:
        """Those that are not over by then are in the report."""
        for talker, followers in self.session_followers.items():
            last = read_log(self.anywhere, f"sessions/{talker.session}")[-1].sequence
            for follower in followers:
                follower.last = last
        deadline = time.monotonic() + TOLD
        for follower in self.followers():
            follower.stopping.set()
        for follower in self.followers():
            follower.join(max(0, deadline - time.monotonic()))

    def followers(self) -> list:
        sessions = [one for pair in self.session_followers.values() for one in pair]
        return [*self.run_followers, *sessions]

    def tell(self, report: Report) -> None:
        jobs = [job for creator in self.creators for job in creator.jobs]
        RunCheck(self.anywhere, jobs, self.chaos.faults).tell(report)
        watches = [watch for follower in self.followers() for watch in follower.watches]
        tell_sessions(report, self.anywhere, self.talkers)
        tell_watches(report, self.anywhere, watches)
        self._tell_calls(report)
        self._tell_faults(report)
        report.heading("The soak itself")
        errors = [worker.error for worker in self.everybody() if worker.error]
        report.none_of("errors", errors + [f"{worker.name} is stuck" for worker in self.stuck])

    def _tell_calls(self, report: Report) -> None:
        report.heading("Calls")
        report.say("made again for lack of an answer", self.anywhere.repeated)
        odd = [f"{number} times {what}" for what, number in self.anywhere.odd.items()]
        report.none_of("refused", odd)
        for probe in self.probes:
            report.say(f"{probe.name} answered", f"{probe.answered} of {probe.asked}")
        report.say("longest time without any server", f"{self.availability.longest:.1f} s")
        for name in self.fleet.runners:
            log = self.fleet.logs()[f"runner-{name}"].read_text(errors="replace")
            for when, words in STALE.items():
                report.say(f"stale leases refused, {name} runner, {when}", log.count(words))
        panics = [
            name
            for name, log in self.fleet.logs().items()
            if "panicked at" in log.read_text(errors="replace")
        ]
        report.none_of("programs that have panicked", panics)

    def _tell_faults(self, report: Report) -> None:
        report.heading("Faults")
        numbers = Counter(fault.kind for fault in self.chaos.faults)
        for kind in self.chaos.kinds:
            report.say(kind.name, numbers[kind.name])
        if not self.fleet.network:
            report.say("runner cut off", f"NOT TRIED: {self.fleet.no_network}")


def main() -> int:
    minutes = min(float(os.environ.get("MINUTES") or DEFAULT_MINUTES), MOST_MINUTES)
    seed = int(os.environ.get("SEED") or random.randrange(SEEDS))
    print(f"seed {seed}, {minutes:g} minutes", flush=True)
    ARTEFACTS.mkdir(exist_ok=True)
    report = Report()
    report.heading(f"Soak of {minutes:g} minutes with seed {seed}")
    with ExitStack() as cleanup:
        soak = Soak(cleanup, seed)
        try:
            soak.run(minutes * 60)
            soak.tell(report)
        finally:
            soak.fleet.keep_logs(ARTEFACTS)
    (ARTEFACTS / "soak.txt").write_text(report.text())
    print(report.text())
    return 0 if report.holds else 1


if __name__ == "__main__":
    sys.exit(main())
