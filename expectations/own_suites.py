"""Holds an author's rules of rows against the candidates of a round, and tries all that authors expect beforehand.

Great Expectations logs and drops an expectation that it does not know, and a suite that got shorter passes; arguments
and columns that are wrong show only when rows are there. So before a run pays for anything each suite is held against a
few made-up rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any

import pandas as pd

from engine.asking.plan import Plan
from engine.definitions.mistakes import find_near_spelling
from engine.definitions.row_rules import is_row_rule
from engine.domain.model import POLES, OwnSuite
from engine.domain.samples import Exemplar, RunStamp, Scenario, make_row, make_sample_table
from engine.domain.votes import Vote
from engine.errors import DefinitionError, InputError, Problem
from engine.screening.own_rules import OwnRules
from engine.system.worker_process import Executor
from expectations.gate import OWN_REMEDY, import_gx, make_parameters, run_suite
from expectations.patterns import find_endless_pattern

PATTERN_SECONDS = 60.0
# A candidate has no run and no moment as yet, and no rule of rows may name these columns.
NO_RUN, NO_MOMENT = "", datetime(1970, 1, 1, tzinfo=UTC)
TRIAL_SECONDS = 5.0
# So much of what Great Expectations says is quoted.
MOST_CHARS = 400
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
TRIAL_PARAMETERS = make_parameters([TRIAL_TRAIT], len(TRIAL_TEXTS) // 2, TRIAL_RUN, [])


def check_own_suites(suites: Sequence[OwnSuite], seconds: float = TRIAL_SECONDS) -> None:
    """Checks that suites can be held against a run's rows; loads Great Expectations if there are any.

    Args:
        seconds: of the processor, that the patterns of a suite have for the made-up rows.

    Raises:
        DefinitionError: some cannot; the error carries all mistakes.
    """
    problems = [problem for suite in suites for problem in _find_suite_mistakes(suite, seconds)]
    if problems:
        raise DefinitionError("The author's expectations", problems)


def make_own_rules(plan: Plan, run_in_worker: Executor) -> OwnRules:
    """Makes what holds candidates against the rules of a plan's model; it raises as ``find_broken``."""
    rows = ((suite, list(filter(is_row_rule, suite.expectations))) for suite in plan.model.own_suites)
    rules = tuple(suite.restrict(its) for suite, its in rows if its)
    stamp = RunStamp(NO_RUN, plan.model.handle, plan.synth_type, plan.level.effort, NO_MOMENT)

    async def reject_broken(exemplars: Sequence[Exemplar]) -> list[Exemplar]:
        held = [item for item in exemplars if item.is_accepted]
        broken = await run_in_worker(partial(find_broken, rules, held, stamp)) if rules and held else {}
        rejected = {
            item.key: replace(item, reason="own_rule", detail=broken[item.key]) for item in held if item.key in broken
        }
        return [rejected.get(item.key, item) for item in exemplars]

    return reject_broken


def find_broken(
    rules: Sequence[OwnSuite], candidates: Sequence[Exemplar], stamp: RunStamp, seconds: float = PATTERN_SECONDS
) -> dict[str, str]:
    """Finds the first rule that each candidate breaks, in the order of the suites: suite, clause and type.

    Args:
        rules: suites that have nothing but rules of rows.
        seconds: of the processor, that the patterns of a suite have.

    Raises:
        InputError: a rule cannot be run.
    """
    frame = make_sample_table(make_row(item, stamp, None) for item in candidates).to_pandas()
    broken: dict[str, str] = {}
    for suite in rules:
        if endless := find_endless_pattern(suite, frame, seconds):
            raise InputError(f"The suite {suite.name!r} was not held against the candidates: {endless} {OWN_REMEDY}")
        outcome = run_suite(suite, frame, {}, result_format="COMPLETE")
        if outcome.broken:
            raise InputError(f"{' '.join(outcome.broken)} {OWN_REMEDY}")
        for result, item in zip(outcome.results, outcome.result["results"], strict=True):
            kind = item["expectation_config"]["type"]
            rule = f"{suite.name}: {result.name}" + (f" ({kind})" if kind not in result.name else "")
            for number in item["result"].get("unexpected_index_list") or ():
                broken.setdefault(candidates[number].key, rule)
    return broken


# A backfill's runs share the catalogue's suites.
@lru_cache(maxsize=256)
def _find_suite_mistakes(suite: OwnSuite, seconds: float) -> tuple[Problem, ...]:
    import_gx()
    from great_expectations.expectations.registry import list_registered_expectation_implementations

    rows, known = _make_trial_rows(), sorted(list_registered_expectation_implementations())
    if endless := find_endless_pattern(suite, rows, seconds):
        return (endless,)
    tried = (_try_out(suite, number, item, known, rows) for number, item in enumerate(suite.expectations))
    return tuple(filter(None, tried))


def _try_out(
    suite: OwnSuite, number: int, item: Mapping[str, Any], known: Sequence[str], rows: pd.DataFrame
) -> Problem | None:
    """Holds an expectation against the rows; says what goes wrong, other than that it is not met."""
    at, kind = f"expectations.{number}", item["type"]
    if kind not in known:
        allowed = "an expectation that Great Expectations knows, or one of the gate's own"
        return Problem(suite.place, None, f"{at}.type", repr(kind), allowed, find_near_spelling(kind, known))
    outcome = run_suite(suite.restrict([item]), rows, TRIAL_PARAMETERS)
    if not outcome.broken:
        return None
    message = " ".join((outcome.results[0].observed if outcome.results else outcome.broken[0]).split())
    found = f"one that raised on rows made for trial ({message[:MOST_CHARS]})"
    allowed = f"arguments of {kind} with which it can be held against the rows of a run, as in samples.parquet"
    return Problem(suite.place, None, at, found, allowed)


def _make_trial_rows() -> pd.DataFrame:
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
