"""Check the candidates of a round with the author's rules for rows, and try the author's suites before a run.

Great Expectations logs and drops an expectation that it does not know, and the shortened suite passes; wrong arguments
and columns raise only when there are rows. So before a run pays for anything, each suite is run on artificial rows.
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
# A candidate has no run and no time yet; rules for rows may not name these columns.
NO_RUN, NO_MOMENT = "", datetime(1970, 1, 1, tzinfo=UTC)
TRIAL_SECONDS = 5.0
# The quoted length of a message of Great Expectations.
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
    """Check that suites can be run on a run's rows; load Great Expectations if there are any.

    Args:
        seconds: the processor time for the patterns of a suite on the artificial rows.

    Raises:
        DefinitionError: a suite cannot be run; the error carries all mistakes.
    """
    problems = [problem for suite in suites for problem in _find_suite_mistakes(suite, seconds)]
    if problems:
        raise DefinitionError("The author's expectations", problems)


def make_own_rules(plan: Plan, run_in_worker: Executor) -> OwnRules:
    """Return a function that rejects candidates by the rules of a plan's model; it raises as ``find_broken``."""
    row_rules = ((suite, list(filter(is_row_rule, suite.expectations))) for suite in plan.model.own_suites)
    rules = tuple(suite.restrict(expectations) for suite, expectations in row_rules if expectations)
    stamp = RunStamp(NO_RUN, plan.model.handle, plan.synth_type, plan.level.effort, NO_MOMENT)

    async def reject_broken(exemplars: Sequence[Exemplar]) -> list[Exemplar]:
        accepted = [item for item in exemplars if item.is_accepted]
        broken = await run_in_worker(partial(find_broken, rules, accepted, stamp)) if rules and accepted else {}
        rejected = {
            item.key: replace(item, reason="own_rule", detail=broken[item.key])
            for item in accepted
            if item.key in broken
        }
        return [rejected.get(item.key, item) for item in exemplars]

    return reject_broken


def find_broken(
    rules: Sequence[OwnSuite], candidates: Sequence[Exemplar], stamp: RunStamp, seconds: float = PATTERN_SECONDS
) -> dict[str, str]:
    """Return the first rule that each candidate breaks, in the order of the suites: suite, clause and type.

    Args:
        rules: suites with only rules for rows.
        seconds: the processor time for the patterns of a suite.

    Raises:
        InputError: a rule cannot be run.
    """
    frame = make_sample_table(make_row(item, stamp, None) for item in candidates).to_pandas()
    broken: dict[str, str] = {}
    for suite in rules:
        if endless := find_endless_pattern(suite, frame, seconds):
            raise InputError(f"The suite {suite.name!r} was not run on the candidates: {endless} {OWN_REMEDY}")
        outcome = run_suite(suite, frame, {}, result_format="COMPLETE")
        if outcome.broken:
            raise InputError(f"{' '.join(outcome.broken)} {OWN_REMEDY}")
        for result, item in zip(outcome.results, outcome.result["results"], strict=True):
            kind = item["expectation_config"]["type"]
            rule = f"{suite.name}: {result.name}" + (f" ({kind})" if kind not in result.name else "")
            for number in item["result"].get("unexpected_index_list") or ():
                broken.setdefault(candidates[number].key, rule)
    return broken


# Cached, because a backfill's runs share the catalogue's suites.
@lru_cache(maxsize=256)
def _find_suite_mistakes(suite: OwnSuite, seconds: float) -> tuple[Problem, ...]:
    import_gx()
    from great_expectations.expectations.registry import list_registered_expectation_implementations

    rows, known = _make_trial_rows(), sorted(list_registered_expectation_implementations())
    if endless := find_endless_pattern(suite, rows, seconds):
        return (endless,)
    problems = (_try_out(suite, number, item, known, rows) for number, item in enumerate(suite.expectations))
    return tuple(filter(None, problems))


def _try_out(
    suite: OwnSuite, number: int, item: Mapping[str, Any], known: Sequence[str], rows: pd.DataFrame
) -> Problem | None:
    """Run an expectation on the rows; return the problem if it cannot be checked. It may fail."""
    path, kind = f"expectations.{number}", item["type"]
    if kind not in known:
        allowed = "an expectation that Great Expectations knows, or one of the gate's own"
        return Problem(suite.place, None, f"{path}.type", repr(kind), allowed, find_near_spelling(kind, known))
    outcome = run_suite(suite.restrict([item]), rows, TRIAL_PARAMETERS)
    if not outcome.broken:
        return None
    message = " ".join((outcome.results[0].observed if outcome.results else outcome.broken[0]).split())
    error = f"one that raised on rows made for trial ({message[:MOST_CHARS]})"
    allowed = f"arguments of {kind} that work on the rows of a run, as in samples.parquet"
    return Problem(suite.place, None, path, error, allowed)


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
