"""The dry run as a value: what the command prints as JSON, by the same names."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from fakes.workspace import HANDLE, make_workspace

from engine.errors import InputError, UnsupportedError
from exemplars import plan
from flows.cli.app import main


def test_plan_is_what_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_workspace(tmp_path, EXEMPLARS_SYNTH_MODEL="openai/gpt-4.1-mini").enter(monkeypatch)
    planned = plan(HANDLE, effort="low", prompts=1)
    code = main(["plan", HANDLE, "--effort", "low", "--prompts", "1", "--json"])

    assert 0 == code
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(asdict(planned)))
    assert {("clarity", "positive"): 4} == {(quota.trait, quota.pole): quota.wanted for quota in planned.quotas[:1]}
    assert 0 < (planned.total.low.cost_usd or 0) < (planned.total.high.cost_usd or 0)
    assert (None, 1.0) == (planned.refused, planned.max_cost_usd)


def test_what_cannot_be_planned_is_our_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_workspace(tmp_path).enter(monkeypatch)
    with pytest.raises(UnsupportedError):
        plan(HANDLE, effort="lots")  # type: ignore[arg-type]
    with pytest.raises(InputError):
        plan(HANDLE, prompts=-1)
