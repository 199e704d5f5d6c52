"""However a provider puts its answers: a run uses them, or ends before much is paid.

Each manner by itself is in ``tests/engine/llm/test_manners.py``; how JSON is read in ``tests/engine/generation``.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fakes.manners import LABEL_ALONE, NO_LABEL
from fakes.provider import COMPLETION_TOKENS, PROMPT_TOKENS, Behaviour, Provider, serve_provider
from fakes.walk import walk_job
from fakes.word_vectors import WordVectors
from fakes.workspace import Workspace, make_workspace

from engine.domain.samples import Reason
from engine.errors import ProviderDownError, ProviderError
from engine.gateway.retrying import MAX_MALFORMED_FIRST
from engine.generation.first_replies import MIN_HOPELESS
from engine.quality.verdict import Verdict
from engine.report.remedies import HOPELESS_REMEDIES, explain_failure
from engine.selection.rounds import Rounds

FAILED = Verdict(False, (), (), (), {}, ())
PRICE = "1/2"
# Two traits, two poles, two exemplars each, twice as many asked for.
CELLS = 16
SUBJECTS = 1


@dataclass(frozen=True)
class Outcome:
    """What a run came to, and what it has spent."""

    rounds: Rounds
    spent_usd: float


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with serve_provider() as served:
        yield served


@pytest.fixture
def workspace(tmp_path: Path, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    made = make_workspace(tmp_path, provider, EXEMPLARS_SYNTH_PRICE=PRICE)
    made.write_effort(exemplars_per_pole=2)
    made.enter(monkeypatch)
    return made


def run(provider: Provider, manner: str) -> Outcome:
    """A run without Prefect, from its first call to its last round; the provider forgets what came before."""
    provider.forget()
    provider.behaviour = Behaviour(manner=manner)
    return Outcome(*asyncio.run(walk_job(WordVectors())))


HONEST_USD = (SUBJECTS + CELLS) * (PROMPT_TOKENS * 1e-6 + COMPLETION_TOKENS * 2e-6)


@pytest.mark.parametrize("manner", ["tool call", "runs on"])
def test_whole_json_is_read_with_one_call_a_cell(workspace: Workspace, provider: Provider, manner: str) -> None:
    outcome = run(provider, manner)

    assert outcome.rounds.choice.complete
    assert (SUBJECTS + CELLS, 1) == (provider.calls.total(), outcome.rounds.round_no)
    assert pytest.approx(HONEST_USD) == outcome.spent_usd
    # The subjects are the provider's too.
    assert set(outcome.rounds.plan.scenario_pool.subjects) - set(provider.written)


@pytest.mark.parametrize(("manner", "reason"), [("no JSON", "unreadable"), ("cut", "truncated")])
def test_first_round_of_which_nothing_can_be_read_is_the_last(
    workspace: Workspace, provider: Provider, manner: str, reason: Reason
) -> None:
    outcome = run(provider, manner)
    said = explain_failure(outcome.rounds, FAILED)

    # Each cell is asked for a second time in words, or with more room.
    assert (SUBJECTS + 2 * CELLS, 1) == (provider.calls.total(), outcome.rounds.round_no)
    assert f"none of the {CELLS} replies of the first round can be used ({CELLS} {reason}), such as " in said
    assert f"; no more was asked, since {HOPELESS_REMEDIES[reason]}" in said

    again = run(provider, manner)
    assert (0, said) == (provider.calls.total(), explain_failure(again.rounds, FAILED))
    assert outcome.spent_usd == again.spent_usd


def test_counts_that_cannot_be_believed_cost_the_most(workspace: Workspace, provider: Provider) -> None:
    outcome = run(provider, "no usage")

    assert outcome.rounds.choice.complete
    assert SUBJECTS + CELLS == provider.calls.total()
    assert HONEST_USD < outcome.spent_usd < 100 * HONEST_USD


def test_answers_that_cannot_be_read_end_the_run_and_a_server_that_stumbled_is_asked_again(
    workspace: Workspace, provider: Provider
) -> None:
    with pytest.raises(ProviderDownError, match=r"\(asked 2 times, no answer could be read\)$"):
        run(provider, "web page")
    assert MAX_MALFORMED_FIRST == provider.calls.total()

    assert run(provider, "").rounds.choice.complete
    assert SUBJECTS + CELLS == provider.calls.total()


def test_all_texts_of_a_reply_are_read(workspace: Workspace, provider: Provider) -> None:
    workspace.write_effort(exemplars_per_pole=2, exemplars_per_call=2)
    made = run(provider, "lines").rounds.exemplars

    assert SUBJECTS + CELLS / 2 == provider.calls.total()
    assert CELLS == len({exemplar.text for exemplar in made if exemplar.text})


@pytest.fixture
def judged(workspace: Workspace, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    workspace.write_effort(exemplars_per_pole=2, judge_votes=1)
    for name, value in (("MODEL", "openai/test"), ("API_BASE", provider.url), ("API_KEY", "sk-test"), ("PRICE", PRICE)):
        monkeypatch.setenv(f"EXEMPLARS_JUDGE_{name}", value)
    return workspace


def test_votes_are_read_from_wherever_they_stand(judged: Workspace, provider: Provider) -> None:
    outcome = run(provider, LABEL_ALONE)

    assert outcome.rounds.choice.complete
    assert {1} == {len(exemplar.votes) for exemplar in outcome.rounds.choice.chosen}
    assert SUBJECTS + 2 * CELLS >= provider.calls.total()


def test_judge_without_a_vote_that_can_be_read_ends_the_run_after_eight_answers(
    judged: Workspace, provider: Provider
) -> None:
    with pytest.raises(ProviderError) as caught:
        run(provider, NO_LABEL)
    asked = provider.calls.total()
    with pytest.raises(ProviderError) as again:
        run(provider, NO_LABEL)

    assert SUBJECTS + CELLS + MIN_HOPELESS == asked
    assert "The judge openai/test casts no vote that can be read: none of its first 8 answers" in str(caught.value)
    assert "such as “It reads rather " in str(caught.value)
    assert (str(caught.value), 0) == (str(again.value), provider.calls.total())
