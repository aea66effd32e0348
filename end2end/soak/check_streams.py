"""What became of sessions and of those who watched: every message once, every event once."""

from collections import Counter

import wire
from calls import Anywhere
from reader import check_against
from report import Report
from talking import LONGEST_TURN, Talker, has_gaps, read_log
from watching import Watch


def tell_sessions(report: Report, anywhere: Anywhere, talkers: list[Talker]) -> None:
    report.heading("Sessions")
    outcomes, wrong, stopped = Counter(), [], []
    for talker in talkers:
        log = read_log(anywhere, f"sessions/{talker.session}")
        if has_gaps(log):
            wrong.append(f"{talker.session}: gaps or repeated numbers")
        for mark, turns in talker.turns.items():
            wrong += [f"{talker.session}, {mark}: {why}" for why in _wrong_with(log, mark, turns)]
        ended = [event.payload.turn_ended for event in log if wire.kind(event) == "turn_ended"]
        outcomes.update(wire.event.TurnOutcome.Name(one.outcome) for one in ended)
        stopped += [
            f"{event.stream}, turn {event.turn_id}"
            for event in log
            if event.payload.turn_ended.outcome == wire.event.TURN_OUTCOME_INTERRUPTED
        ]
    report.say("messages acknowledged", sum(len(talker.turns) for talker in talkers))
    for outcome, number in sorted(outcomes.items()):
        report.say(f"turns {outcome.removeprefix('TURN_OUTCOME_').lower()}", number)
    report.none_of("messages lost, twice, or without one end", wrong)
    report.none_of("turns told as interrupted by a person", stopped)
    unended = [which for talker in talkers for which in talker.unended]
    report.none_of(f"turns that did not end within {LONGEST_TURN} s", unended)


def _wrong_with(log: list, mark: str, turns: set[str]) -> list[str]:
    said = [event for event in log if mark in event.payload.user_message.text]
    if len(said) != 1 or turns != {said[0].turn_id}:
        return [f"{len(said)} messages, turns {sorted(turns)}"]
    turn = [event for event in log if event.turn_id == said[0].turn_id]
    ends = [event.payload.turn_ended for event in turn if wire.kind(event) == "turn_ended"]
    if len(ends) != 1:
        return [f"{len(ends)} ends"]
    printed = sum(
        part.text.count(mark) for event in turn for part in event.payload.tool_result.content
    )
    if ends[0].outcome == wire.event.TURN_OUTCOME_COMPLETED and printed != 1:
        return [f"completed, and its work was done {printed} times"]
    return []


def tell_watches(report: Report, anywhere: Anywhere, watches: list[Watch]) -> None:
    report.heading("Watches")
    report.say("streams watched", len(watches))
    report.say("events that arrived", sum(len(watch.reader.events) for watch in watches))
    report.say("connections that were cut", sum(watch.cuts for watch in watches))
    wrong = [watch.wrong for watch in watches if watch.wrong]
    untold = [which for watch in watches for which in watch.untold]
    untold += [f"{watch.stream}: still waits" for watch in watches if not watch.is_over]
    for watch in watches:
        if watch.is_over and not watch.wrong:
            wrong += _unlike_stored(watch, read_log(anywhere, watch.stream))
    report.none_of("gaps, duplicates, or other events than stored", wrong)
    report.none_of("events that were stored and not told", untold)


def _unlike_stored(watch: Watch, stored: list) -> list[str]:
    try:
        check_against(watch.reader, stored)
    except AssertionError as error:
        return [f"{watch.stream}: {error}"]
    return []
