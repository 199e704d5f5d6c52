"""A run with ``--strict`` attaches nothing if no measure separates the poles of a trait."""

from dataclasses import replace

import pytest
from fakes.builders import make_level, make_model, make_pair, make_stamp, make_state, make_test_plan
from fakes.word_vectors import WordVectors
from prefect.logging import disable_run_logger

from engine.domain.model import Existing
from tasks.check import check


@pytest.mark.parametrize(("strict", "status"), [(False, "attached"), (True, "rejected")])
async def test_inseparable_poles_are_critical_in_a_strict_run(strict: bool, status: str) -> None:
    state = make_state(make_test_plan(make_model(), make_level(1)), *make_pair(), planned=True)
    state = replace(state, inseparable={"clarity": 0.5})
    with disable_run_logger():
        verdict = await check.fn(state, make_stamp(), Existing(), WordVectors(), strict=strict)
    [finding] = [item for item in verdict.findings if item.code == "inseparable"]

    assert status == verdict.status
    assert ("critical" if strict else "warning") == finding.severity
    assert strict == (str(finding) in verdict.causes)
