"""Asks Great Expectations, before a run pays for anything, whether it can hold an author's suites against its rows.

It logs and drops an expectation that it does not know, and a suite that got shorter passes; arguments and columns that
are wrong show only when rows are there. So each suite is held against a few made-up rows first.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import pandas as pd

from engine.definitions.mistakes import find_near_spelling, format_value
from engine.domain.model import POLES
from engine.domain.samples import SAMPLE_SCHEMA, Exemplar, RunStamp, Scenario, make_row, make_sample_table
from engine.domain.suites import OwnSuite
from engine.domain.votes import Vote
from engine.errors import DefinitionError, Problem
from expectations.gate import import_gx, make_parameters, run_suite
from expectations.patterns import find_endless_pattern
from expectations.results import find_exception

# What every expectation takes beside its own arguments.
COMMON_ARGUMENTS = frozenset(
    "id meta notes result_format description catch_exceptions rendered_content severity windows batch_id "
    "condition_parser".split()
)
TRIAL_SECONDS = 5.0
TRIAL_TRAIT, TRIAL_RUN = "clarity", "11111111-1111-1111-1111-111111111111"
TRIAL_TEXTS = (
    "Press the green button and the door opens.",
    "Actuation of the portal is contingent upon engagement of the control.",
    "The job runs every hour and copies new files.",
    "Replication of artefacts occurs pursuant to an hourly cadence.",
    "You can change your name on the profile page.",
    "Modification of identity attributes is facilitated by the interface.",
    "If the light blinks, wait a minute and try again.",
    "In the event of intermittent luminosity, temporisation is advised.",
)


def check_own_suites(suites: Sequence[OwnSuite]) -> None:
    """Checks that suites can be held against a run's rows.

    Raises:
        DefinitionError: some cannot; the error carries all mistakes.
    """
    raise_mistakes(find_mistakes(suites))


def raise_mistakes(problems: Sequence[Problem]) -> None:
    """Raises what ``find_mistakes`` has found, if anything.

    Raises:
        DefinitionError: there are mistakes.
    """
    if problems:
        raise DefinitionError("The author's expectations", problems)


def find_mistakes(suites: Sequence[OwnSuite], seconds: float = TRIAL_SECONDS) -> tuple[Problem, ...]:
    """Finds what keeps suites from being held against a run's rows; loads Great Expectations if there are any.

    Args:
        seconds: of the processor, that the patterns of a suite have for the made-up rows.
    """
    return tuple(problem for suite in suites for problem in _find_suite_mistakes(suite, seconds))


# A backfill's runs share the catalogue's suites.
@lru_cache(maxsize=256)
def _find_suite_mistakes(suite: OwnSuite, seconds: float) -> tuple[Problem, ...]:
    import_gx()
    items: list[dict[str, Any]] = json.loads(suite.content)["expectations"]
    problems = [
        problem for number, item in enumerate(items) for problem in _find_written_mistakes(suite.place, number, item)
    ]
    # An expectation that is not written right would only raise.
    return tuple(problems) or tuple(_try_out(suite, seconds))


def _find_written_mistakes(place: str, number: int, item: Mapping[str, Any]) -> Iterator[Problem]:
    """Yields what Great Expectations can tell of an expectation without rows: whether it knows it and its arguments."""
    from great_expectations.expectations.registry import list_registered_expectation_implementations

    at, kind = f"expectations.{number}", item["type"]
    known = sorted(list_registered_expectation_implementations())
    if kind not in known:
        allowed = "an expectation that Great Expectations knows, or one of the gate's own"
        yield Problem(place, None, f"{at}.type", repr(kind), allowed, find_near_spelling(kind, known))
        return
    yield from _find_wrong_arguments(place, f"{at}.kwargs", item)


def _find_wrong_arguments(place: str, at: str, item: Mapping[str, Any]) -> Iterator[Problem]:
    from great_expectations.compatibility.pydantic import ValidationError
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.expectations.registry import get_expectation_impl

    try:
        ExpectationConfiguration(**item).to_domain_obj()
    except ValidationError as error:
        known = [name for name in get_expectation_impl(item["type"]).__fields__ if name not in COMMON_ARGUMENTS]
        allowed = f"arguments of {item['type']}: {', '.join(known)}"
        said: dict[str, dict[str, None]] = {}
        for mistake in error.errors():
            said.setdefault(str(mistake["loc"][0]), {})[str(mistake["msg"])] = None
        for name, messages in said.items():
            found = f"{format_value(item['kwargs'].get(name))} ({'; '.join(messages)})"
            if name == "__root__":
                yield Problem(place, None, at, "; ".join(messages), allowed)
            else:
                near = None if name in known else find_near_spelling(name, known)
                yield Problem(place, None, f"{at}.{name}", found, allowed, near)
    except Exception as error:  # of validators that raise another one
        yield Problem(place, None, at, _shorten(error), f"arguments of {item['type']}")


def _try_out(suite: OwnSuite, seconds: float) -> Iterator[Problem]:
    """Yields what goes wrong, other than that an expectation is not met, when a suite is held against made-up rows."""
    rows = _make_trial_rows()
    if endless := find_endless_pattern(suite, rows, seconds):
        yield endless
        return
    parameters = make_parameters([TRIAL_TRAIT], len(TRIAL_TEXTS) // 2, TRIAL_RUN, SAMPLE_SCHEMA.names, {})
    outcome = run_suite(suite, rows, parameters)
    raised = [(number, find_exception(item)) for number, item in enumerate(outcome.result.get("results", ()))]
    found = [(f"expectations.{number}", message) for number, message in raised if message]
    if not found and outcome.broken:
        found = [("expectations", outcome.broken[0])]
    for at, message in found:
        allowed = "an expectation that can be held against the rows of a run, a frame of pandas as in samples.parquet"
        yield Problem(suite.place, None, at, f"one that raised on rows made for trial ({_shorten(message)})", allowed)


def _make_trial_rows() -> pd.DataFrame:
    """Makes rows as a run has them, with a value in every column."""
    stamp = RunStamp(TRIAL_RUN, "u22a8.trial", "from_traits", "low", datetime(2026, 1, 1, tzinfo=UTC))
    scenario = Scenario("a green button", "a visitor", "a note", "one sentence")
    exemplar = Exemplar("trial", 0, 0, TRIAL_TRAIT, "positive", scenario, "trial/0", "", None, "", "openai/trial")
    vote = Vote("openai/trial", "positive", "positive")
    exemplar = replace(exemplar, prompt_sha256="0" * 64, seed_sha256="0" * 64, cost_usd=0.0001, odds=1.0, votes=(vote,))
    rows = [
        make_row(replace(exemplar, text=text, pole=POLES[number % 2]), stamp, f"trial/{number // 2}")
        for number, text in enumerate(TRIAL_TEXTS)
    ]
    frame: pd.DataFrame = make_sample_table(rows).to_pandas()
    return frame


def _shorten(message: object) -> str:
    said = " ".join(str(message).split())
    return said if len(said) <= 200 else f"{said[:199]}…"
