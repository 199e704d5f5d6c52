"""A run that only fills up asks for what is lacking and no more, attaches just that, and can be made again."""

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fakes.provider import Provider
from fakes.workspace import HANDLE, Workspace, read_manifest

from engine.report.summary import RunResult
from engine.store.layout import SAMPLES
from engine.store.removal import remove_stored
from engine.store.set_versions import Removal
from engine.store.store import find_set
from flows.cli.app import main

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]


@pytest.fixture
def entered(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    workspace.enter(monkeypatch)
    return workspace


def fill_up(synth_type: str = "from_traits") -> RunResult:
    from flows.synthesize import synthesize

    parameters: Any = {"handle": HANDLE, "synth_type": synth_type, "effort": "low", "only_lacking": True}
    result: RunResult = asyncio.run(synthesize(**parameters))
    return result


def count(path: str | Path) -> Counter[tuple[str, str]]:
    frame = pd.read_parquet(path)
    return Counter(zip(frame["trait"], frame["pole"], strict=True))


def remove_some(workspace: Workspace, run_id: str, wanted: dict[tuple[str, str], int]) -> None:
    """Removes so many samples of some traits and poles."""
    stored = find_set(str(workspace.samples), run_id)
    assert stored is not None
    frame = pd.read_parquet(Path(stored.folder, SAMPLES))
    ids = [
        int(number)
        for (trait, pole), few in wanted.items()
        for number in frame[(frame["trait"] == trait) & (frame["pole"] == pole)]["id"][:few]
    ]
    assert remove_stored(stored, Removal(tuple(ids), datetime.now(UTC)))


@pytest.mark.parametrize("synth_type", ["from_traits", "enrich"])
def test_what_was_removed_is_filled_up_exactly(entered: Workspace, synth_type: str) -> None:
    first = entered.run(synth_type)
    lacking = {("clarity", "positive"): 2, ("clarity", "negative"): 1}
    remove_some(entered, first.run_id, lacking)
    kept = set(pd.read_parquet(first.samples)["text"])
    result = fill_up(synth_type)
    manifest = read_manifest(Path(result.samples).parent)

    assert ("attached", 2) == (result.status, result.wanted)
    assert Counter(lacking) == count(result.samples)
    assert {"clarity": {"positive": 2, "negative": 1}, "safety": {"positive": 0, "negative": 0}} == (
        manifest["inputs"]["lacking"]
    )
    assert {4} == set(count(entered.samples / f"handle={HANDLE}").values())
    assert not kept & set(pd.read_parquet(result.samples)["text"])


def test_where_nothing_is_lacking_nothing_is_asked_and_the_command_ends_with_0(
    entered: Workspace, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    everything = fill_up()
    assert {4} == set(count(everything.samples).values())
    provider.forget()
    again = fill_up()
    sets = entered.list_sets()
    capsys.readouterr()

    assert ("not_needed", "", {}) == (again.status, again.samples, again.kept)
    assert 0 == main(["synthesize", HANDLE, "--effort", "low", "--only-lacking", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert ("not_needed", "", "") == (told["status"], told["samples"], told["report"])
    assert 0 == main(["synthesize", HANDLE, "--effort", "low", "--only-lacking"])
    assert "Nothing is lacking" in capsys.readouterr().out
    assert 0 == provider.calls.total()
    assert sets == entered.list_sets()
    assert 0 == main(["plan", HANDLE, "--effort", "low", "--only-lacking"])
