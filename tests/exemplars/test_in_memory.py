"""A run without Prefect gives the samples that the flow attaches, as data frames, and attaches nothing."""

import asyncio
import re
from pathlib import Path

import pandas as pd
import pytest
from fakes.client import FakeClient
from fakes.provider import Behaviour, answer, serve_provider
from fakes.workspace import HANDLE, make_workspace, read_kept, read_rejected

import exemplars
from engine.errors import InputError
from engine.llm.client.request import Reply, Request

IN_A_RUN = ["run_id", "created_at"]
DEFINITION = """
description: Notes about tools.
traits:
  - type: spectrum
    key: safety
    name: Safety
    description: How careful the note is.
    poles: {positive: Careful, negative: Careless}
"""


def reply(request: Request) -> Reply:
    prompt = "\n".join(filter(None, (request.prompt.system, request.prompt.user)))
    return Reply(*answer(prompt, Behaviour()))


async def test_definition_and_client_give_samples_findings_and_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, client = make_workspace(tmp_path), FakeClient(reply)
    workspace.enter(monkeypatch)
    outcome = await exemplars.synthesize_in_memory(DEFINITION, client, effort="low", per_pole=3)
    calls = len(client.requests)
    again = await exemplars.synthesize_in_memory(DEFINITION, client, effort="low", per_pole=3)

    assert outcome.passed
    assert "6 attached" in outcome.headline
    assert {3} == set(outcome.chosen.groupby(["trait", "pole"]).size())
    assert {"surplus"} >= set(outcome.rejected["reason"])
    # The second run pays for nothing.
    assert calls == outcome.usage["replies"] == len(client.requests)
    assert list(outcome.chosen["text"]) == list(again.chosen["text"])
    assert not workspace.samples.exists()


def test_run_in_memory_chooses_what_the_flow_attaches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_provider(Behaviour(malformed=0.1, truncated=0.05)) as provider:
        workspace = make_workspace(tmp_path, provider)
        workspace.enter(monkeypatch)
        outcome = asyncio.run(exemplars.synthesize_in_memory(HANDLE, effort="low"))
        calls = provider.calls.total()
        assert not workspace.list_sets()
        workspace.run()
        [folder] = workspace.list_sets()

    assert calls == provider.calls.total()
    for stored, frame in ((read_kept(folder), outcome.chosen), (read_rejected(folder), outcome.rejected)):
        assert len(stored)
        pd.testing.assert_frame_equal(stored.drop(columns=IN_A_RUN), frame.drop(columns=IN_A_RUN))


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ("traits: [{type: spektrum}]", "in-memory.model/model.yaml: "),
        ("acme.unknown", "No model 'acme.unknown'"),
        (f"{DEFINITION}questions: [{{ask: 'Does it name a tool?', expect: 'yes'}}]", "are answered by a chat judge"),
    ],
)
async def test_wrong_argument_is_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, definition: str, message: str
) -> None:
    make_workspace(tmp_path).enter(monkeypatch)
    with pytest.raises(InputError, match=re.escape(message)):
        await exemplars.synthesize_in_memory(definition, FakeClient(reply), effort="low")
