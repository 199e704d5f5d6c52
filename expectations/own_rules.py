"""Holds the candidates of a round against an author's rules of rows, by Great Expectations, in the worker process."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from engine.asking.plan import Plan
from engine.definitions.row_rules import list_row_rules
from engine.domain.model import OwnSuite
from engine.domain.samples import Exemplar, RunStamp, make_row, make_sample_table
from engine.errors import InputError
from engine.screening.own_rules import OwnRules
from engine.system.worker_process import RunHeavy
from expectations.gate import OWN_REMEDY, run_suite
from expectations.patterns import find_endless_pattern

PATTERN_SECONDS = 60.0
# A candidate has no run and no moment as yet, and no rule of rows may name these columns.
NO_RUN, NO_MOMENT = "", datetime(1970, 1, 1, tzinfo=UTC)


def make_own_rules(plan: Plan, run_heavy: RunHeavy) -> OwnRules:
    """Makes what holds candidates against the rules of a plan's model."""
    rules = tuple(
        replace(suite, content=json.dumps({"name": suite.name, "expectations": its}))
        for suite in plan.model.own_suites
        if (its := list_row_rules(suite))
    )
    stamp = RunStamp(NO_RUN, plan.model.handle, plan.synth_type, plan.level.effort, NO_MOMENT)

    async def hold(candidates: Sequence[Exemplar]) -> Mapping[str, str]:
        return await run_heavy(partial(find_broken, rules, candidates, stamp)) if rules and candidates else {}

    return hold


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
