"""However a provider puts its answers: a run uses them, or ends before much is paid.

Each manner by itself is in ``tests/engine/llm/test_manners.py``; how JSON is read in ``tests/engine/generation``.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes.provider import COMPLETION_TOKENS, PROMPT_TOKENS, Behaviour, Provider, serve_provider
from fakes.walk import walk_job
from fakes.word_vectors import WordVectors
from fakes.workspace import Workspace, make_workspace

from engine.quality.verdict import Verdict
from engine.report.remedies import HOPELESS_REMEDIES, explain_failure
from engine.selection.rounds import Rounds

FAILED = Verdict(False, (), (), (), {}, ())
PRICE = "1/2"
# Two traits, two poles, two exemplars each, twice as many asked for.
CELLS = 16
SUBJECTS = 1
HONEST_USD = (SUBJECTS + CELLS) * (PROMPT_TOKENS * 1e-6 + COMPLETION_TOKENS * 2e-6)


@pytest.fixture(scope="session")
def provider() -> Iterator[Provider]:
    with serve_provider() as served:
        yield served


@pytest.fixture
def workspace(tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    made = make_workspace(tmp_path, provider, EXEMPLARS_SYNTH_PRICE=PRICE)
    made.write_effort(exemplars_per_pole=2)
    made.enter(monkeypatch)
    return made


def run(provider: Provider, manner: str) -> tuple[Rounds, float]:
    """A run without Prefect, from its first call to its last round, and what it has spent."""
    provider.forget()
    provider.behaviour = Behaviour(manner=manner)
    return asyncio.run(walk_job(WordVectors()))


def test_first_round_of_which_nothing_can_be_read_is_the_last(workspace: Workspace, provider: Provider) -> None:
    rounds, spent_usd = run(provider, "no JSON")
    said = explain_failure(rounds, FAILED)

    # Each cell is asked for a second time in words.
    assert (SUBJECTS + 2 * CELLS, 1) == (provider.calls.total(), rounds.round_no)
    assert f"none of the {CELLS} replies of the first round can be used ({CELLS} unreadable), such as " in said
    assert f"; no more was asked, since {HOPELESS_REMEDIES['unreadable']}" in said

    again, spent_again_usd = run(provider, "no JSON")
    assert (0, said) == (provider.calls.total(), explain_failure(again, FAILED))
    assert spent_usd == spent_again_usd


def test_counts_that_cannot_be_believed_cost_the_most(
    workspace: Workspace, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, honest_usd = run(provider, "runs on")
    monkeypatch.setenv("EXEMPLARS_SEED", "1")
    uncounted, uncounted_usd = run(provider, "no usage")

    assert honest.choice.complete
    assert uncounted.choice.complete
    assert SUBJECTS + CELLS == provider.calls.total()
    assert pytest.approx(HONEST_USD) == honest_usd
    assert HONEST_USD < uncounted_usd < 100 * HONEST_USD
