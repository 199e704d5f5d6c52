"""How long calls took in the last runs is kept, and says how long those of the next take."""

import json
from dataclasses import replace
from pathlib import Path

from fakes.builders import make_level, make_test_plan
from fakes.client import CHAT, PLAIN

from engine.domain.progress import CallAnswered
from engine.estimate.call_kinds import list_calls
from engine.estimate.estimate import OTHER_SECONDS, TIMED, UNTIMED, Estimate, estimate_calls, explain_estimate
from engine.estimate.forecast import RunForecast
from engine.estimate.speeds import FILE, keep_speeds, read_speeds
from engine.llm.client.request import Endpoint
from engine.settings import Settings

JUDGE = replace(CHAT, name="openai/judge", identity="judge@")
PLAN = make_test_plan(level=make_level(judge_votes=1))


def keep(settings: Settings, endpoint: Endpoint, *seconds: float, judges: bool = False) -> None:
    """Keeps that a run's calls took so long."""
    forecast = RunForecast()
    for each in seconds:
        forecast.report(CallAnswered(endpoint.identity, each, judges=judges))
    keep_speeds(settings, forecast.took)


def estimate(settings: Settings, endpoint: Endpoint, judge: Endpoint | None = None, kept: int = 0) -> Estimate:
    return estimate_calls(list_calls(PLAN, endpoint, judge), kept=kept, speeds=read_speeds(settings))


def test_last_run_says_how_long_the_next_one_takes(tmp_path: Path) -> None:
    settings = Settings(cache_dir=str(tmp_path), concurrency=4)
    unknown = estimate(settings, CHAT, JUDGE)
    keep(settings, CHAT, *[2.0] * 10)
    half = estimate(settings, CHAT, JUDGE)
    keep(settings, JUDGE, *[0.5] * 10, judges=True)
    known = estimate(settings, CHAT, JUDGE)
    writing, judging = known.writing.calls, known.judging.calls

    assert (None, None) == (unknown.seconds, half.seconds)
    assert (UNTIMED, TIMED) == (explain_estimate(half)[0], explain_estimate(known)[0])
    # Four at a time; the last one is alone.
    assert writing * 2.0 / 4 + 2.0 + judging * 0.5 / 4 + 0.5 + OTHER_SECONDS == known.seconds
    # What a level that thinks takes is not known of one that does not.
    thoughtful = make_test_plan(level=make_level(judge_votes=1, thinking="low"))
    assert (
        estimate_calls(list_calls(thoughtful, replace(CHAT, thinks=True), JUDGE), speeds=read_speeds(settings)).seconds
        is None
    )
    # All is kept; and a limit on the rate holds.
    assert OTHER_SECONDS == estimate(settings, CHAT, JUDGE, kept=writing + judging).seconds
    slow = estimate(settings.model_copy(update={"requests_per_minute": 6}), CHAT, JUDGE).seconds
    assert (writing + judging) * 10 + 2.5 + OTHER_SECONDS == slow


def test_embedded_model_is_expected_to_be_as_quick_as_its_size_lets_it(tmp_path: Path) -> None:
    settings = Settings(cache_dir=str(tmp_path))
    sized = replace(PLAIN, tokens_per_second=40.0, slots=8)
    first = estimate(settings, sized)
    keep(settings, sized, *[4.0] * 8)
    measured = estimate(settings, sized)

    # 40 tokens each.
    assert first.writing.calls * 1.0 + OTHER_SECONDS == first.seconds
    assert first.writing.calls * 4.0 / 8 + 4.0 + OTHER_SECONDS == measured.seconds


def test_last_run_counts_but_for_few_calls_and_damage_is_as_good_as_nothing(tmp_path: Path) -> None:
    settings, found = Settings(cache_dir=str(tmp_path)), []
    for seconds in ([1.0] * 50, [2.0, 4.0] * 2, [9.0] * 3):
        keep(settings, CHAT, *seconds)
        found.append(read_speeds(settings).seconds)
    (tmp_path / FILE).write_text('["a"]')
    found.append(read_speeds(settings).seconds)
    keep(settings, JUDGE, *[5.0] * 4, judges=True)
    kept = json.loads((tmp_path / FILE).read_text())

    assert [{CHAT.identity: 1.0}, {CHAT.identity: 3.0}, {CHAT.identity: 3.0}, {}] == found
    assert {f"{JUDGE.identity} judging": 5.0} == kept
