"""What became of the runs: none lost, none twice, none whose work was done by two."""

from collections import Counter
from typing import Callable

import grpc

import wire
from calls import CALL_TIME, Anywhere
from chaos import Fault
from load import Job, Shape
from report import Report
from story import Story, tell
from talking import has_gaps, read_log
from watching import FINAL

PAGE = 200
MAX_ATTEMPTS = 3
# Seconds after a fault in which its effects may still be felt: clients that connect anew, and a
# machine that catches up.
AFTERMATH = 10
NOT_FOUND = frozenset([grpc.StatusCode.NOT_FOUND])


class RunCheck:
    def __init__(self, anywhere: Anywhere, jobs: list[Job], faults: list[Fault]):
        self._anywhere = anywhere
        self._jobs = [job for job in jobs if job.runs]
        self._faults = faults
        workspaces = {job.request.workspace_id for job in self._jobs}
        self._runs = {run.id: run for workspace in workspaces for run in self._list(workspace)}
        self._known = [job for job in self._jobs if job.run in self._runs]
        self._logs = {job.run: read_log(anywhere, f"runs/{job.run}") for job in self._known}
        self._stories = {run: tell(log) for run, log in self._logs.items()}

    def tell(self, report: Report) -> None:
        self._tell_outcomes(report)
        self._tell_lost_and_twice(report)
        self._tell_attempts(report)
        self._tell_effects(report)

    def _tell_outcomes(self, report: Report) -> None:
        report.heading("Runs")
        report.say("created and acknowledged", len(self._jobs))
        states = Counter(self._runs[job.run].state for job in self._known)
        report.say("succeeded", states[wire.event.RUN_STATE_SUCCEEDED])
        report.say("cancelled", states[wire.event.RUN_STATE_CANCELLED])
        report.say("failed", states[wire.event.RUN_STATE_FAILED])
        failed = [run for run in self._runs.values() if run.state == wire.event.RUN_STATE_FAILED]
        for reason, number in Counter(run.reason for run in failed).items():
            report.say(f"  with {reason}", number)
        others = [
            f"{run.id}: {run.reason}: {run.message}"
            for run in failed
            if run.reason != "ATTEMPTS_EXHAUSTED"
        ]
        report.none_of("failed with another reason than lost attempts", others)
        unasked = [
            job.run
            for job in self._known
            if self._runs[job.run].state == wire.event.RUN_STATE_CANCELLED
            and job.shape is not Shape.CANCELLED
        ]
        report.none_of("cancelled though nobody asked", unasked)

    def _tell_lost_and_twice(self, report: Report) -> None:
        report.heading("Lost or twice")
        unknown = [job.run for job in self._jobs if job.run not in self._runs]
        report.none_of("acknowledged and unknown", unknown)
        unfinished = [
            f"{job.run}: {wire.event.RunState.Name(self._runs[job.run].state)}"
            for job in self._known
            if self._runs[job.run].state not in FINAL
        ]
        report.none_of("never finished", unfinished)
        titles = Counter(run.title for run in self._runs.values())
        twice = [job.mark for job in self._jobs if len(job.runs) > 1 or titles[job.mark] > 1]
        report.none_of("several runs of one request", twice)
        asked = {run for job in self._jobs for run in job.runs}
        report.none_of("runs that nobody asked for", sorted(set(self._runs) - asked))
        report.none_of("logs with gaps or repeated numbers", _where(has_gaps, self._logs))
        report.none_of(
            "runs with another number of ends than one",
            _where(lambda story: len(story.ends) != 1, self._stories),
        )
        otherwise = [
            run
            for run, story in self._stories.items()
            if story.ends and story.ends[-1].state != self._runs[run].state
        ]
        report.none_of("runs whose log ends otherwise than they", otherwise)
        report.none_of(
            "runs with events that no attempt held",
            _where(lambda story: story.unheld > 0, self._stories),
        )
        odd = _where(_attempts_are_odd, self._stories)
        report.none_of("runs whose attempts are not 1, 2, 3", odd)

    def _tell_attempts(self, report: Report) -> None:
        report.heading("Attempts")
        histogram = Counter(self._runs[job.run].attempt for job in self._known)
        for attempts, number in sorted(histogram.items()):
            report.say(f"runs with {attempts}", number)
        losses = [
            (run, attempt) for run, story in self._stories.items() for attempt in story.losses
        ]
        for reason, number in Counter(attempt.lost for _, attempt in losses).items():
            report.say(f"attempts that ended with {reason}", number)
        taken_over = sum(max(0, len(one.attempts) - 1) for one in self._stories.values())
        report.say("attempts that were taken over by another", taken_over)
        unexplained = [
            f"{run}: {attempt}" for run, attempt in losses if not self._is_explained(attempt)
        ]
        report.none_of("attempts lost without a fault", unexplained)
        exhausted = [job.run for job in self._known if self._is_exhausted(job.run)]
        report.say("runs that used up their attempts", len(exhausted))
        too_early = [run for run in exhausted if len(self._stories[run].losses) != MAX_ATTEMPTS]
        report.none_of("  with another number than 3 lost ones", too_early)

    def _tell_effects(self, report: Report) -> None:
        report.heading("Effects")
        wrong, twice = [], []
        for job in self._known:
            attempts = self._stories[job.run].attempts
            printed = [attempt.output.count(job.mark) for attempt in attempts]
            twice += [job.run] if any(number > 1 for number in printed) else []
            succeeded = self._runs[job.run].state == wire.event.RUN_STATE_SUCCEEDED
            wrong += [job.run] if succeeded and printed[-1:] != [1] else []
        report.none_of("attempts that did their work twice", twice)
        report.none_of("successes whose work is not in the log", wrong)
        self._tell_files(report)

    def _tell_files(self, report: Report) -> None:
        writing = [job for job in self._known if job.shape is Shape.WRITING]
        wrong, unnoted, applied = [], 0, 0
        for job in writing:
            text, run = self._read(job), self._runs[job.run]
            is_applied = run.apply_state == wire.run.APPLY_STATE_APPLIED
            applied += is_applied
            # A server may be killed after the files are there, and before that is noted.
            unnoted += text is not None and not is_applied
            if text not in _possible(run, job):
                wrong.append(f"{job.run}: {wire.run.ApplyState.Name(run.apply_state)} {text!r}")
        report.say("runs that write a file", len(writing))
        report.say("  whose file was applied", applied)
        report.say("  applied, and not noted", unnoted)
        report.none_of("files that are not as their run made them", wrong)

    def _is_exhausted(self, run: str) -> bool:
        return self._runs[run].reason == "ATTEMPTS_EXHAUSTED"

    def _is_explained(self, attempt) -> bool:
        return any(
            attempt.runner in fault.touched
            and fault.began <= attempt.ended
            and attempt.began <= fault.ended + AFTERMATH
            for fault in self._faults
        )

    def _list(self, workspace: str) -> list:
        found, token = [], ""
        while True:
            request = wire.run.ListRunsRequest(
                workspace_id=workspace, page_size=PAGE, page_token=token
            )
            page = self._anywhere.call(lambda at: at.runs.ListRuns(request, timeout=CALL_TIME))
            found.extend(page.runs)
            token = page.next_page_token
            if not token:
                return found

    def _read(self, job: Job) -> str | None:
        request = wire.file.ReadFileRequest(workspace_id=job.request.workspace_id, path=job.path)

        def read(client) -> bytes:
            return b"".join(part.data for part in client.files.ReadFile(request, timeout=CALL_TIME))

        try:
            return self._anywhere.call(read, expected=NOT_FOUND).decode()
        except grpc.RpcError:
            return None


def _where(is_wrong: Callable, of: dict) -> list[str]:
    return [run for run, one in of.items() if is_wrong(one)]


def _possible(run, job: Job) -> list[str | None]:
    """What the file that a run writes may hold in its workspace; nothing if there is none."""
    whole = f"{job.mark}\n"
    if run.apply_state == wire.run.APPLY_STATE_APPLIED:
        return [whole]
    return [whole, None] if run.state == wire.event.RUN_STATE_SUCCEEDED else [None]


def _attempts_are_odd(story: Story) -> bool:
    numbers = [attempt.number for attempt in story.attempts]
    return numbers != list(range(1, len(numbers) + 1))
