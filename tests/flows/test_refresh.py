"""A run that makes anew what was made for an older definition: planned and checked as if that were gone."""

import asyncio
from pathlib import Path

import pandas as pd
import pytest
from fakes.provider import Provider
from fakes.workspace import HANDLE, MODEL, Workspace, read_manifest

from engine.domain.run_request import RunRequest
from engine.domain.verdict import RunResult
from engine.settings import read_settings
from engine.store.store import list_sets
from flows.cli.app import main
from flows.cli.plan import plan_run

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]


def refresh() -> RunResult:
    from flows.synthesize import synthesize

    result: RunResult = asyncio.run(synthesize(HANDLE, effort="low", refresh=True))
    return result


def plan_ids(workspace: Workspace) -> list[str]:
    """The plans of the model refreshed, and with an empty store."""
    there = read_settings()
    empty = there.model_copy(update={"samples_uri": str(workspace.folder / "empty")})
    planned = [
        plan_run(settings, RunRequest(HANDLE, "from_traits", "low", refresh=True)) for settings in (there, empty)
    ]
    return [each.plan_id for each in planned]


def list_attached(workspace: Workspace) -> list[str]:
    return [stored.run_id for stored in list_sets(str(workspace.samples), HANDLE, "train")]


def test_sets_of_an_older_definition_go_when_the_new_one_is_there(
    entered: Workspace, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    older = [entered.run().run_id, entered.run().run_id]
    (entered.model / "model.yaml").write_text(MODEL.replace("speak of safety", "say how to stay safe"))
    before = list_attached(entered)
    said = (main(["plan", HANDLE, "--effort=low", "--refresh"]), capsys.readouterr().out)
    plans = plan_ids(entered)
    made = refresh()
    manifest = read_manifest(Path(made.samples).parent)
    old = [read_manifest(entered.find_set(run_id)) for run_id in older]
    provider.forget()
    again = refresh()

    assert older == before
    assert 0 == said[0]
    assert "Replaces 2 sets (32 samples) made for an older definition" in " ".join(said[1].split())
    assert plans[0] == plans[1]
    assert older == manifest["replaces"]
    assert [("detached", made.run_id)] * 2 == [(item["status"], item["replaced_by"]) for item in old]
    assert [made.run_id] == list_attached(entered)
    assert {4} == set(pd.read_parquet(entered.samples / f"handle={HANDLE}").value_counts(["trait", "pole"]))
    assert ("not_needed", 0) == (again.status, provider.calls.total())


def test_set_that_is_there_for_the_present_definition_counts_and_the_older_ones_go(
    entered: Workspace, provider: Provider
) -> None:
    older = entered.run().run_id
    (entered.model / "model.yaml").write_text(MODEL.replace("speak of safety", "say how to stay safe"))
    present = entered.run().run_id
    provider.forget()
    result = refresh()

    assert ("not_needed", 0) == (result.status, provider.calls.total())
    assert "1 set (16 samples) made for an older definition went" in result.headline
    manifest = read_manifest(entered.find_set(older))
    assert ("detached", f"run {result.run_id}") == (manifest["status"], manifest["detached"]["who"])
    assert [present] == list_attached(entered)
