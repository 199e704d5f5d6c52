"""What a set and a backfill cost by batches beside live calls, by litellm's prices, a fifth of the texts rejected.

Prints the bills and their ratios; a call has tokens by the length of what was asked and answered.
"""

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes.batch_clock import move_clock
from fakes.batches import BatchServer, Manner, serve_batches
from fakes.commands import commanding
from fakes.provider import Behaviour
from fakes.workspace import HANDLE, ROOT, Workspace, make_workspace, read_manifest, read_rejected
from fastapi.responses import JSONResponse

from engine.domain.model import BatchMode

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800), pytest.mark.usefixtures("prefect_server")]
# Synth model and judge as in the hosted set of the effort file, for which its issue's aim is, and one model for both.
MODELS = ("openai/gpt-4.1", "openai/gpt-4.1-mini")
ONE_MODEL = ("openai/gpt-4.1-mini", "openai/gpt-4.1-mini")
BYTES_A_TOKEN = 4
COUNT = 3


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with serve_batches(Behaviour(misjudged=0.2), Manner(seconds=3600)) as served:
        count_tokens(served)
        yield served


def count_tokens(server: BatchServer) -> None:
    """Has each answer tell tokens by its length, and by that of its prompt."""
    complete = server.provider.complete

    async def count(body: dict[str, Any]) -> Any:
        came = await complete(body)
        told = json.loads(bytes(came.body))
        if came.status_code != 200:
            return came
        text = told["choices"][0]["message"]["content"]
        prompt, completion = len(json.dumps(body["messages"])) // BYTES_A_TOKEN, len(text) // BYTES_A_TOKEN
        told["usage"] |= {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        return JSONResponse(told)

    server.provider.complete = count  # type: ignore[method-assign]


def enter(folder: Path, server: BatchServer, patch: pytest.MonkeyPatch, models: tuple[str, str] = MODELS) -> Workspace:
    """A workspace of its own, with the dial of the project; synth model and judge are asked at the server."""
    server.provider.url = f"{server.url}/v1"
    given = {"EFFORT_FILE": str(ROOT / "data/effort.yaml"), "SYNTH_MODEL": models[0]}
    given |= {"JUDGE_MODEL": models[1], "JUDGE_API_BASE": server.provider.url, "JUDGE_API_KEY": "sk-test"}
    workspace = make_workspace(folder, server.provider, **{f"EXEMPLARS_{name}": text for name, text in given.items()})
    workspace.enter(patch)
    return workspace


def read_bill(workspace: Workspace) -> float:
    """What the sets of a workspace have cost, in dollars."""
    return sum(
        float(json.loads((folder / "__run__/verdict.json").read_text())["cost"]["usd"])
        for folder in workspace.list_sets()
    )


@pytest.mark.parametrize(("models", "most"), [(MODELS, 0.6), (ONE_MODEL, 0.75)])
def test_set_at_high_costs_so_much_of_live_by_its_first_round(
    tmp_path: Path, server: BatchServer, monkeypatch: pytest.MonkeyPatch, models: tuple[str, str], most: float
) -> None:
    from flows.synthesize import synthesize

    move_clock(monkeypatch, server, 1800)
    bills = dict[str, float]()
    modes: tuple[BatchMode, ...] = ("none", "first", "all")
    for mode in modes:
        (tmp_path / mode).mkdir()
        workspace = enter(tmp_path / mode, server, monkeypatch, models)
        result = asyncio.run(synthesize(HANDLE, effort="high", batch=mode))
        [folder] = workspace.list_sets()
        bills[mode] = read_bill(workspace)
        reasons = read_rejected(folder)["reason"].value_counts().to_dict()
        print(f"\n{mode}: {result.status}, ${bills[mode]:.4f}, {bills[mode] / bills['none']:.2f} of live; {reasons}")
        assert "attached" == read_manifest(folder)["status"]
    assert bills["all"] < bills["first"] <= most * bills["none"]


def test_backfill_costs_less_by_batches_as_its_plan_says(
    tmp_path: Path, server: BatchServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from flows.backfill import backfill

    move_clock(monkeypatch, server, 1800)
    bills = dict[str, float]()
    modes: tuple[BatchMode, ...] = ("none", "first")
    for mode in modes:
        (tmp_path / mode).mkdir()
        workspace = enter(tmp_path / mode, server, monkeypatch)
        handles = [f"u22a8.shed-{number}" for number in range(COUNT)]
        for handle in handles:
            shutil.copytree(workspace.model, workspace.model.with_name(handle))
        if mode == "none":
            with commanding(capsys) as call:
                print("\n", call("plan", "--namespace", "u22a8", "--effort", "medium").out)
        counts = asyncio.run(backfill(handles=handles, effort="medium", batch=mode, max_cost_usd=20.0))
        bills[mode] = read_bill(workspace)
        print(f"\n{mode}: {counts}, ${bills[mode]:.4f}, {bills[mode] / bills['none']:.2f} of live")
        assert {"attached": COUNT} == counts
    assert bills["first"] < 0.6 * bills["none"]
