"""A run that only fills up asks for what is lacking and no more, attaches just that, and can be made again."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from fakes.provider import Provider
from fakes.workspace import HANDLE, Workspace, read_manifest

from engine.domain.verdict import RunResult
from flows.cli.app import main

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]


def fill_up() -> RunResult:
    from flows.synthesize import synthesize

    result: RunResult = asyncio.run(synthesize(HANDLE, effort="low", only_lacking=True))
    return result


def count(path: str | Path) -> Counter[tuple[str, str]]:
    frame = pd.read_parquet(path)
    return Counter(zip(frame["trait"], frame["pole"], strict=True))


def remove_some(path: str, wanted: dict[tuple[str, str], int]) -> None:
    """Removes so many samples of some traits and poles."""
    frame = pd.read_parquet(path)
    ids = [
        str(number)
        for (trait, pole), few in wanted.items()
        for number in frame[(frame["trait"] == trait) & (frame["pole"] == pole)]["id"][:few]
    ]
    assert 0 == main(["remove", HANDLE, *ids])


def test_what_was_removed_is_filled_up_exactly_and_then_nothing_is_asked(
    entered: Workspace, provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    first = fill_up()
    lacking = {("clarity", "positive"): 2, ("clarity", "negative"): 1}
    remove_some(first.samples, lacking)
    kept = set(pd.read_parquet(first.samples)["text"])
    result = fill_up()
    manifest = read_manifest(Path(result.samples).parent)

    assert ("attached", 2) == (result.status, result.wanted)
    assert Counter(lacking) == count(result.samples)
    assert {"clarity": {"positive": 2, "negative": 1}, "safety": {"positive": 0, "negative": 0}} == (
        manifest["inputs"]["lacking"]
    )
    assert {4} == set(count(entered.samples / f"handle={HANDLE}").values())
    assert not kept & set(pd.read_parquet(result.samples)["text"])

    provider.forget()
    command = ["synthesize", HANDLE, "--effort", "low", "--only-lacking"]
    capsys.readouterr()
    ended = [main([*command, "--json"])]
    told = json.loads(capsys.readouterr().out)
    ended += [main(command), main(["plan", *command[1:]])]

    assert ("not_needed", "", "") == (told["status"], told["samples"], told["report"])
    said = " ".join(capsys.readouterr().out.split())
    assert "Nothing is lacking: u22a8" in said
    assert "note Nothing is lacking: a run asks nothing, and makes no set." in said
    assert "Estimate: 0 calls, about 8 s; 0 tokens in, 0 out; it costs nothing" in said
    assert ([0, 0, 0], 0, 2) == (ended, provider.calls.total(), len(entered.list_sets()))
