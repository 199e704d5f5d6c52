"""However a provider puts its answers: they are read, or a sentence says what it does, before much is paid."""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fakes.manners import LABEL_ALONE, MALFORMED, MISCOUNTED, NO_LABEL, READABLE, SEVERAL, UNREADABLE
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


@pytest.mark.parametrize("manner", READABLE)
def test_whole_json_is_read_with_one_call_a_cell(workspace: Workspace, provider: Provider, manner: str) -> None:
    outcome = run(provider, manner)

    assert outcome.rounds.choice.complete
    assert (SUBJECTS + CELLS, 1) == (provider.calls.total(), outcome.rounds.round_no)
    cost = (SUBJECTS + CELLS) * (PROMPT_TOKENS * 1e-6 + COMPLETION_TOKENS * 2e-6)
    assert pytest.approx(cost) == outcome.spent_usd
    # The subjects are the provider's too.
    assert set(outcome.rounds.plan.scenario_pool.subjects) - set(provider.written)


@pytest.mark.parametrize("manner", UNREADABLE)
def test_first_round_of_which_nothing_can_be_read_is_the_last(
    workspace: Workspace, provider: Provider, manner: str
) -> None:
    reason: Reason = "truncated" if UNREADABLE[manner][1] == "truncated" else "unreadable"
    outcome = run(provider, manner)
    said = explain_failure(outcome.rounds, FAILED)

    # Each cell is asked for a second time in words, or with more room.
    assert (SUBJECTS + 2 * CELLS, 1) == (provider.calls.total(), outcome.rounds.round_no)
    assert f"none of the {CELLS} replies of the first round can be used ({CELLS} {reason}), such as " in said
    assert f"; no more was asked, since {HOPELESS_REMEDIES[reason]}" in said

    again = run(provider, manner)
    assert (0, said) == (provider.calls.total(), explain_failure(again.rounds, FAILED))
    assert outcome.spent_usd == again.spent_usd


@pytest.mark.parametrize("manner", MISCOUNTED)
def test_counts_that_cannot_be_believed_are_said_and_cost_the_most(
    workspace: Workspace, provider: Provider, manner: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "exemplars.calls"):
        outcome = run(provider, manner)

    assert outcome.rounds.choice.complete
    assert SUBJECTS + CELLS == provider.calls.total()
    honest = (SUBJECTS + CELLS) * (PROMPT_TOKENS * 1e-6 + COMPLETION_TOKENS * 2e-6)
    assert honest < outcome.spent_usd < 100 * honest
    [said] = [record.getMessage() for record in caplog.records if record.name == "exemplars.calls"]
    assert f"openai/test at {provider.url} {MISCOUNTED[manner][1]}" in said
    assert ": its tokens are not counted, and each call counts as the most that it can have cost" in said


@pytest.mark.parametrize("manner", MALFORMED)
def test_answer_that_cannot_be_read_ends_the_run_in_a_sentence(
    workspace: Workspace, provider: Provider, manner: str
) -> None:
    with pytest.raises(ProviderDownError) as caught:
        run(provider, manner)
    said = str(caught.value)

    assert MAX_MALFORMED_FIRST == provider.calls.total()
    assert said.startswith(f"openai/test at {provider.url} answers, in a form that cannot be read: it ")
    assert MALFORMED[manner][1] in said
    assert said.endswith("(asked 2 times, no answer could be read)")
    assert [] == [word for word in ("Traceback", "LiteLLM", "network", "\n") if word in said]


def test_server_that_stumbles_once_is_asked_again(workspace: Workspace, provider: Provider) -> None:
    with pytest.raises(ProviderDownError):
        run(provider, "web page")

    assert run(provider, "").rounds.choice.complete
    assert SUBJECTS + CELLS == provider.calls.total()


@pytest.mark.parametrize("manner", SEVERAL)
def test_all_texts_of_a_reply_are_read(workspace: Workspace, provider: Provider, manner: str) -> None:
    workspace.write_effort(exemplars_per_pole=2, exemplars_per_call=2)
    made = run(provider, manner).rounds.exemplars

    assert SUBJECTS + CELLS / 2 == provider.calls.total()
    assert CELLS == len({exemplar.text for exemplar in made if exemplar.text})


@pytest.fixture
def judged(workspace: Workspace, provider: Provider, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    workspace.write_effort(exemplars_per_pole=2, judge_votes=1)
    for name, value in (("MODEL", "openai/test"), ("API_BASE", provider.url), ("API_KEY", "sk-test"), ("PRICE", PRICE)):
        monkeypatch.setenv(f"EXEMPLARS_JUDGE_{name}", value)
    return workspace


@pytest.mark.parametrize("manner", ["prose around", LABEL_ALONE])
def test_votes_are_read_from_wherever_they_stand(judged: Workspace, provider: Provider, manner: str) -> None:
    outcome = run(provider, manner)

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
