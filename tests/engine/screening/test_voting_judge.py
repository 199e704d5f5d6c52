"""The voting judge votes blind, swaps the poles from vote to vote, rejects texts of the other pole or of neither.

A reply is a vote where exactly one of the answers that it was given is named and stands alone.
"""

import itertools
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.builders import make_exemplar, make_model, make_stamp, make_test_plan, make_trait
from fakes.client import CHAT, Answer, FakeClient, HeardProgress, make_fake_gateway

from engine.asking.prompts import make_vote_schema
from engine.domain.definition import Pole
from engine.domain.model import POLES, Model
from engine.domain.progress import CallEnded, CallsPlanned
from engine.domain.samples import Exemplar, make_row
from engine.domain.votes import VoteAnswer
from engine.errors import BudgetError, CredentialsError, ProviderError, ProviderUnavailableError
from engine.llm.client.prices import Price
from engine.llm.client.request import REFUSED, Reply, Request
from engine.llm.gateway.budget import RunBudget
from engine.llm.gateway.retrying import MAX_ATTEMPTS
from engine.screening.sense import JudgeCalibration
from engine.screening.voting_judge import (
    VOTE_TOKENS,
    VotingJudge,
    choose_first,
    make_vote_request,
    read_vote,
)

TEXT = "The battery lies in the second drawer."
PLAN = make_test_plan()
JUDGE = replace(CHAT, name="openai/judge", identity="openai/judge@", settings="EXEMPLARS_JUDGE")
TRAIT = make_trait()


def say(answer: str) -> Reply:
    return Reply(json.dumps({"answer": answer}), "stop", 300, 8, 0.001)


def read_answer(reply: Reply, model: Model = PLAN.model) -> VoteAnswer:
    return read_vote(reply, model, TRAIT.key, "positive", JUDGE).answer


def stands_first(request: Request) -> Pole:
    first, _ = re.findall(r'^- "(Clear|Obscure)"', request.prompt.user, re.MULTILINE)
    return "positive" if first == "Clear" else "negative"


def vote_for(said: VoteAnswer, request: Request) -> Reply:
    """A reply that votes for a pole wherever it stands; "invalid" is no answer."""
    if said == "invalid":
        return Reply("I cannot tell.", "stop")
    return say("neither" if said == "neither" else TRAIT.label(said))


def vote_in_turn(*said: VoteAnswer) -> Answer:
    rest = list(said)
    return lambda request: vote_for(rest.pop(0), request)


def make_jury(folder: Path, answer: Answer, votes: int = 3) -> tuple[VotingJudge, FakeClient, HeardProgress]:
    client, progress = FakeClient(answer, JUDGE), HeardProgress()
    return VotingJudge(make_fake_gateway(folder, client, progress), votes), client, progress


async def judge(
    voting_judge: VotingJudge, *exemplars: Exemplar, progress: HeardProgress | None = None
) -> list[Exemplar]:
    voting_judge.trial = JudgeCalibration(JUDGE.name, 0, 0)
    async with voting_judge.gateway.record_replies(PLAN.plan_id):
        return await voting_judge.judge(PLAN, exemplars, progress or HeardProgress())


def number_texts(count: int) -> list[Exemplar]:
    return [make_exemplar(f"{TEXT} {index}", index=index) for index in range(count)]


def swap_places(prompt: str) -> str:
    """The prompt with its two labels changed for one another, wherever it names them."""
    labels = {"Clear": "Obscure", "Obscure": "Clear"}
    return re.sub('"(Clear|Obscure)"', lambda found: f'"{labels[found[1]]}"', prompt)


async def test_votes_on_one_text_are_the_same_whichever_pole_was_asked_for(tmp_path: Path) -> None:
    voting_judge, client, _ = make_jury(tmp_path, lambda _: say("neither"), votes=2)
    exemplars = [make_exemplar(TEXT, pole, index) for pole in POLES for index in range(8)]
    await judge(voting_judge, *exemplars)
    scenario = exemplars[0].scenario
    prompts = {request.prompt.user for request in client.requests}

    assert 2 == len(prompts)
    assert {swap_places(prompt) for prompt in prompts} == prompts
    for prompt in prompts:
        for hint in (scenario.subject, scenario.audience, scenario.form, exemplars[0].pair_id, "positive", "negative"):
            assert hint not in prompt


def test_each_pole_stands_first_as_often_as_the_other() -> None:
    keys = [f"clarity/{index:05d}/{pole}/0/0" for index in range(500) for pole in POLES]
    counts = {pole: sum(choose_first(0, key, 0) == "positive" for key in keys if pole in key) for pole in POLES}

    assert all(200 < count < 300 for count in counts.values())
    assert [choose_first(0, key, 0) for key in keys] == [choose_first(0, key, 2) for key in keys]
    assert all(choose_first(0, key, 0) != choose_first(0, key, 1) for key in keys)
    assert [choose_first(0, key, 0) for key in keys] != [choose_first(1, key, 0) for key in keys]


def test_label_that_says_neither_is_told_from_a_vote_for_no_pole() -> None:
    trait = make_trait(positive_label="Both", negative_label=" Neither")
    model = make_model(trait)
    request = make_vote_request(make_test_plan(model), trait.key, TEXT, "positive")

    assert [make_vote_schema(["Both", " Neither"])] == [request.schema]
    assert '"Both", " Neither" or "neither of them"?' in request.prompt.user
    assert ["negative", "neither"] == [read_answer(say(said), model) for said in ("neither", "Neither of them")]


@pytest.mark.parametrize(
    ("votes", "said", "reason"),
    [
        (1, ["positive"], None),
        (1, ["neither"], "off_pole"),
        (2, ["positive", "positive"], None),
        (2, ["positive", "negative"], "off_pole"),
        (3, ["negative", "negative"], "wrong_label"),
        (3, ["negative", "positive", "positive"], None),
        (3, ["positive", "neither", "negative"], "off_pole"),
    ],
)
async def test_majority_decides_and_the_votes_stay(
    tmp_path: Path, votes: int, said: list[VoteAnswer], reason: str | None
) -> None:
    voting_judge, client, progress = make_jury(tmp_path, vote_in_turn(*said), votes)
    [judged, left] = await judge(
        voting_judge, make_exemplar(TEXT), make_exemplar(None, reason="refused"), progress=progress
    )

    assert (reason, make_exemplar(None, reason="refused")) == (judged.reason, left)
    assert said == [vote.answer for vote in judged.votes]
    assert (f"the judge's votes: {', '.join(said)}" if reason else "") == judged.detail
    firsts = [stands_first(request) for request in client.requests]
    assert firsts == [vote.first for vote in judged.votes]
    assert all(one != other for one, other in itertools.pairwise(firsts))
    short = (VOTE_TOKENS, make_vote_schema(("Clear", "Obscure")))
    assert [short] * len(said) == [(request.max_tokens, request.schema) for request in client.requests]
    # What was asked before, in this order, is drawn.
    assert [0.0, 0.0, 0.7][: len(said)] == [request.temperature for request in client.requests]
    # As many calls are planned as end.
    assert len(said) == sum(event.count for event in progress.events if isinstance(event, CallsPlanned))
    assert len(said) == sum(isinstance(event, CallEnded) for event in progress.events)


@pytest.mark.parametrize(
    ("replies", "answer", "temperatures"),
    [
        ([Reply("I cannot tell.", "stop"), say("Clear")], "positive", [0.0, 0.7]),
        ([Reply("I cannot tell.", "stop")] * 2, "invalid", [0.0, 0.7]),
        ([Reply("no", REFUSED)], "invalid", [0.0]),
    ],
)
async def test_vote_that_cannot_be_read_is_asked_for_once_more(
    tmp_path: Path, replies: list[Reply], answer: VoteAnswer, temperatures: list[float]
) -> None:
    rest = list(replies)
    voting_judge, client, _ = make_jury(tmp_path, lambda _: rest.pop(0), votes=1)
    [judged] = await judge(voting_judge, make_exemplar(TEXT))

    assert [answer] == [vote.answer for vote in judged.votes]
    assert (None if answer == "positive" else "off_pole") == judged.reason
    assert temperatures == [request.temperature for request in client.requests]
    assert 1 == len({request.prompt for request in client.requests})


@pytest.mark.parametrize(("votes", "asked"), [(1, 8), (3, 16)])
async def test_judge_whose_first_votes_cannot_be_read_ends_the_run(tmp_path: Path, votes: int, asked: int) -> None:
    voting_judge, client, _ = make_jury(
        tmp_path, lambda request: Reply(f"Reads {stands_first(request)}.", "stop"), votes
    )
    rejected = make_exemplar(None, reason="refused")
    with pytest.raises(ProviderError) as caught:
        await judge(voting_judge, rejected, *number_texts(20))

    assert asked == len(client.requests)
    assert f"The judge openai/judge casts no vote that can be read: none of its first {asked}" in str(caught.value)
    for part in ("“Reads positive.”", "“Reads negative.”", "EXEMPLARS_JUDGE_MODEL", "prune --replies u22a8.test"):
        assert part in str(caught.value)


async def test_one_vote_that_can_be_read_is_enough_and_two_texts_without_one_say_nothing_yet(tmp_path: Path) -> None:
    answers = [say("Clear")]
    some, _, _ = make_jury(tmp_path / "a", lambda _: answers.pop() if answers else Reply("Hm.", "stop"), votes=1)
    none, _, _ = make_jury(tmp_path / "b", lambda _: Reply("Hm.", "stop"), votes=1)
    judged = await judge(some, *number_texts(20))

    assert Counter({"off_pole": 19, None: 1}) == Counter(exemplar.reason for exemplar in judged)
    for _ in range(3):
        await judge(none, make_exemplar(TEXT))
    with pytest.raises(ProviderError, match="none of its first 8 answers"):
        await judge(none, *number_texts(4)[1:])


async def test_vote_that_fails_for_good_is_a_failed_cell_and_a_refused_key_an_error(tmp_path: Path) -> None:
    answers: list[Callable[[Request], Reply]] = [lambda request: vote_for("positive", request)]

    def answer(request: Request) -> Reply | Exception:
        return answers.pop()(request) if answers else ProviderUnavailableError("openai/judge does not answer", 0.0)

    voting_judge, client, _ = make_jury(tmp_path, answer)
    [judged] = await judge(voting_judge, replace(make_exemplar(TEXT), cost_usd=0.002))

    assert ("cell_failed", ["positive"], 0.003) == (judged.reason, [v.answer for v in judged.votes], judged.cost_usd)
    assert "the judge did not answer: openai/judge does not answer" == judged.detail
    assert 1 + MAX_ATTEMPTS == len(client.requests)
    refused, _, _ = make_jury(tmp_path / "refused", lambda _: CredentialsError("no key"))
    with pytest.raises(CredentialsError, match="no key"):
        await judge(refused, make_exemplar(TEXT))


async def test_what_does_not_stand_and_what_gets_no_vote_is_left_as_it_is(tmp_path: Path) -> None:
    silent, client, _ = make_jury(tmp_path, lambda _: say("Clear"), votes=0)
    jury, asked, _ = make_jury(tmp_path, lambda _: say("Clear"))
    left = [make_exemplar(TEXT, reason="too_short"), make_exemplar(None, reason="refused"), make_exemplar(None)]

    one = [make_exemplar(TEXT)]
    for voting_judge, exemplars in ((silent, one), (jury, left)):
        assert exemplars == await judge(voting_judge, *exemplars)
    assert [] == client.requests + asked.requests


async def test_votes_spend_from_what_the_synth_model_left(tmp_path: Path) -> None:
    budget = RunBudget(4, max_cost_usd=0.0055)
    budget.count(Reply("", "stop", cost_usd=0.001), reused=False)
    # A vote of 100 tokens can cost a tenth of a cent, which is what it does cost here.
    client = FakeClient(lambda _: say("Clear"), replace(JUDGE, price=Price(0.0, 1e-5)))
    voting_judge = VotingJudge(make_fake_gateway(tmp_path, client, budget=budget), 1)
    with pytest.raises(BudgetError):
        await judge(voting_judge, *number_texts(20))

    assert 4 == len(client.requests)
    assert 0.005 == pytest.approx(budget.cost_usd)


async def test_votes_are_kept_and_stand_in_the_row_beside_the_odds(tmp_path: Path) -> None:
    voting_judge, _, _ = make_jury(tmp_path, vote_in_turn("positive", "positive"))
    [judged] = await judge(voting_judge, make_exemplar(TEXT, odds=1.5))
    first, second = (f"{vote.first} first" for vote in judged.votes)

    assert [
        {"judge": "in_context", "odds": 1.5},
        {"judge": "openai/judge", "vote": "positive", "order": first},
        {"judge": "openai/judge", "vote": "positive", "order": second},
    ] == json.loads(make_row(judged, make_stamp(), None)["judge_votes"] or "")
    assert {first, second} == {"positive first", "negative first"}
    again, client, _ = make_jury(tmp_path, lambda _: AssertionError("asked again"))
    assert ([judged], []) == (await judge(again, make_exemplar(TEXT, odds=1.5)), client.requests)


SCHEMA = '{"properties": {"answer": {"type": "string", "enum": ["Clear", "Obscure", "neither"]}}}'
VOTES = """
1. Clear
Ｃｌｅａｒ
Cl\u200bear
I would say the text is "Clear".
\\boxed{Clear}
Clear — it says what to do.
It is Clear because nothing is hidden.
<think>Obscure?</think>Clear
{"ANSWER": ["**clear**"]}
{"answer": "Clear: plain at once"}
{"result": {"answer": "Clear"}}
{"vote": "Clear", "why": "it says what to do"}
"""
LONG_VOTES = (
    "Clear\n\nIt does not beat about the bush.",
    'I choose:\n```JSON\n{"answer": " clear", "why": "it is not Obscure {at all}"}\n```',
    f'{SCHEMA}\n{{"answer": "Clear"}}',
    '{"answer": "Obscure"}\nOn second thoughts:\n{"answer": "Clear"}',
)
NO_VOTES = """
Unclear
non-Clear
Not: Clear
Clear?
less Clear
Clear, not Obscure
neither Clear nor Obscure
{"answer": null, "note": "Clear"}
{"Clear": 0.9, "Obscure": 0.1}
{"answer": "Clear
<think>Clear
"""


@pytest.mark.parametrize("text", [*VOTES.strip().splitlines(), *LONG_VOTES])
def test_label_that_stands_alone_is_a_vote(text: str) -> None:
    assert "positive" == read_answer(Reply(text, "stop"))


@pytest.mark.parametrize(
    "text", [*NO_VOTES.strip().splitlines(), "", SCHEMA, "- Clear\n- Obscure", '{"answer": "Clear"}\n{"answer": "Obsc']
)
def test_what_names_none_or_two_or_turns_one_round_is_no_vote(text: str) -> None:
    assert "invalid" == read_answer(Reply(text, "stop"))


@pytest.mark.parametrize(
    ("answers", "text", "said"),
    [
        (("明確", "不明確"), "不明確。", "不明確"),
        (("Polite", "Impolite"), "The text is polite", "Polite"),
        (("Formal", "Very formal"), "**very  formal**", "Very formal"),
        (("About safety", "Not about safety"), "Not about safety.", "Not about safety"),
        (("C", "C++"), "C++", "C++"),
        (("👍", "👎"), "👍\ufe0f", "👍"),
    ],
)
def test_answers_that_contain_others_and_other_scripts_are_told_apart(
    answers: tuple[str, str], text: str, said: str
) -> None:
    model = make_model(make_trait(positive_label=answers[0], negative_label=answers[1]))

    assert POLES[answers.index(said)] == read_answer(Reply(text, "stop"), model)


@pytest.mark.parametrize(("text", "finish"), [("Clear", REFUSED), ("Clear", "length"), ('{"answer": 1', "length")])
def test_reply_that_was_refused_or_cut_is_no_vote(text: str, finish: str) -> None:
    assert "invalid" == read_answer(Reply(text, finish))
