"""What a vote says besides the pole: sense, of judges that can tell it, and the author's questions."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes.builders import make_exemplar, make_model, make_test_plan, make_trait
from fakes.client import CHAT, FakeClient, HeardProgress, make_fake_gateway

from engine.asking.plan import Plan
from engine.domain.definition import Question
from engine.domain.samples import Exemplar
from engine.domain.votes import Vote
from engine.llm.client.request import Reply, Request
from engine.screening.sense import (
    JudgeCalibration,
    TrialText,
    find_objection,
    judge_trial,
    list_trial_texts,
)
from engine.screening.voting_judge import VotingJudge, make_vote_request, read_vote

QUESTIONS = (Question("Does it name a competitor?", "no"), Question("Is it polite?", "yes"))
JUDGE = replace(CHAT, name="openai/judge", identity="openai/judge@")
PLAN = make_test_plan(replace(make_model(), questions=QUESTIONS))
NONSENSE = "Drawer the lies battery second green in the"


def answer(request: Request) -> Reply:
    """A judge that is right: about sense by the end of the text, and about a competitor by its name."""
    text = request.prompt.user.split("<text>\n")[1].split("\n</text>")[0]
    said = {
        "answer": "Clear",
        "sense": "yes" if text.endswith(".") and text[0].isupper() else "no",
        "question_1": "yes" if "Acme" in text else "no",
        "question_2": "yes",
    }
    return Reply(json.dumps(said), "stop", 300, 20, 0.001)


def answer_yes(_: Request) -> Reply:
    return Reply('{"answer": "Clear", "sense": "yes", "question_1": "yes", "question_2": "yes"}', "stop")


def read_fields(request: Request) -> set[str]:
    fields: Any = (request.schema or {})["properties"]
    return set(fields)


async def judge(folder: Path, client: FakeClient, *texts: str) -> tuple[list[Exemplar], VotingJudge]:
    voting_judge = VotingJudge(make_fake_gateway(folder, client, HeardProgress()), 1)
    async with voting_judge.gateway.record_replies(PLAN.plan_id):
        exemplars = [make_exemplar(text, index=index) for index, text in enumerate(texts)]
        return await voting_judge.judge(PLAN, exemplars, HeardProgress()), voting_judge


async def test_nonsense_and_unexpected_answers_are_rejected_in_the_one_call_of_the_vote(tmp_path: Path) -> None:
    client = FakeClient(answer, JUDGE)
    texts = ("The battery lies in the second drawer.", NONSENSE, "The battery of Acme lies in the second drawer.")
    [fine, nonsense, named], voting_judge = await judge(tmp_path, client, *texts)
    [votes] = [json.loads(json.dumps([vote.to_entry() for vote in named.votes]))]

    assert (8 + len(texts), "8 of 8") == (
        len(client.requests),
        f"{voting_judge.trial and voting_judge.trial.right} of 8",
    )
    assert [None, "no_sense", "own_question"] == [fine.reason, nonsense.reason, named.reason]
    assert QUESTIONS[0].ask == named.detail
    assert [{"Does it name a competitor?": True, "Is it polite?": True}] == [vote["questions"] for vote in votes]
    assert [True] == [vote["sense"] for vote in votes]


async def test_judge_that_always_says_yes_is_not_asked_for_sense(tmp_path: Path) -> None:
    client = FakeClient(answer_yes, JUDGE)
    [nonsense], voting_judge = await judge(tmp_path, client, NONSENSE)

    assert JudgeCalibration(JUDGE.name, 4, 8) == voting_judge.trial
    assert "was right about 4 of 8 texts" in str(voting_judge.trial)
    assert ("own_question", QUESTIONS[0].ask) == (nonsense.reason, nonsense.detail)
    assert "sense" not in client.requests[-1].prompt.user
    assert nonsense.votes[0].sense is None


async def test_question_that_is_left_open_is_asked_once_more_and_then_rejects_the_text(tmp_path: Path) -> None:
    open_, whole = (Reply(f'{{"answer": "Clear"{more}}}', "stop") for more in ("", ', "question_1": "no"'))

    def reply(request: Request) -> Reply:
        is_last = request.label.endswith("/1") and "second drawer" in request.prompt.user
        return replace(whole, text=whole.text.replace("}", ', "question_2": "yes"}')) if is_last else open_

    client = FakeClient(reply, JUDGE)
    [answered, left_open], _ = await judge(
        tmp_path, client, "It lies in the second drawer.", "It lies in the third one."
    )

    assert (8 + 2 * 2, None) == (len(client.requests), answered.reason)
    assert ("own_question", f"{QUESTIONS[0].ask} (no vote answers it)") == (left_open.reason, left_open.detail)


def test_judge_that_takes_a_persons_text_for_nonsense_is_not_asked_about_that_trait() -> None:
    texts = [TrialText(trait, "a text", makes_sense) for makes_sense in (True, False) for trait in ("a", "a", "b", "b")]
    doubted = judge_trial("judge", texts, [True, False, *[True] * 6])
    failed = judge_trial("judge", texts, [True, False, *[True] * 5, False])

    assert (True, False, True) == (doubted.is_passed, doubted.covers("a"), doubted.covers("b"))
    assert (False, False) == (failed.is_passed, failed.covers("b"))
    assert str(doubted).endswith("It was not asked whether texts of a make sense.")


@pytest.mark.parametrize(
    ("said", "vote"),
    [
        ('Clear {"sense": "yes"}', "positive"),
        ('{"sense": "yes", "question_1": "no", "label": "Obscure"}', "negative"),
        ('{"sense": "yes"}', "invalid"),
    ],
)
def test_yes_or_no_is_no_vote(said: str, vote: str) -> None:
    opposite = make_model(make_trait(positive_label="Yes", negative_label="No"))

    assert vote == read_vote(Reply(said, "stop"), PLAN.model, "clarity", "positive", JUDGE).answer
    assert "invalid" == read_vote(Reply('{"sense": "yes"}', "stop"), opposite, "clarity", "positive", JUDGE).answer


@pytest.mark.parametrize(
    ("said", "answers", "reason"),
    [
        ([True], [(False, True)], None),
        ([False], [(False, True)], "no_sense"),
        ([False, True], [(False, True)] * 2, None),
        ([False, False, True], [(False, True)] * 3, "no_sense"),
        ([None], [(False, True)], None),
        ([True], [(True, True)], "own_question"),
        ([True, True], [(True, True), (False, True)], None),
        ([True], [(False, None)], "own_question"),
        ([True, True], [(False, None), (False, True)], None),
    ],
)
def test_more_votes_have_to_be_against_a_text_than_for_it(
    said: list[bool | None], answers: list[tuple[bool | None, bool | None]], reason: str | None
) -> None:
    votes = [
        Vote("judge", "positive", "positive", sense, tuple(zip((q.ask for q in QUESTIONS), its, strict=True)))
        for sense, its in zip(said, answers, strict=True)
    ]

    assert reason == (found[0] if (found := find_objection(votes, QUESTIONS)) else None)


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ('{"answer": "Clear", "sense": "yes"}', True),
        ('{"answer": "Clear", "sense": "No."}', False),
        ('```json\n{"answer": "Clear", "sense": false}\n```', False),
        ('{"sense": "no"}\n{"answer": "Clear"}', False),
        ('{"answer": "Clear", "sense": "perhaps"}', None),
        ('{"answer": "Clear"}', None),
        ("Clear: yes", None),
        ('{"answer": "Clear", "sense": "ye', None),
    ],
)
def test_yes_or_no_is_read_from_its_field(said: str, read: bool | None) -> None:
    assert read is read_vote(Reply(said, "stop"), PLAN.model, "clarity", "positive", JUDGE, asks_sense=True).sense
    assert read_vote(Reply(said, "stop"), PLAN.model, "clarity", "positive", JUDGE).sense is None


@pytest.mark.parametrize("language", ["en", "de", "ja", "tlh"])
def test_trial_texts_are_seeds_and_ordinary_texts_and_the_same_shuffled(language: str) -> None:
    plan = make_test_plan(replace(make_model(), language=language, seeds=()))
    texts = list_trial_texts(plan)
    whole, shuffled = ([item.text for item in texts if item.makes_sense == sense] for sense in (True, False))

    if language == "tlh":
        assert [] == texts
        return
    assert [4, 4] == [len(whole), len(shuffled)]
    assert [sorted(text.replace(" ", "")) for text in whole] != [list(text.replace(" ", "")) for text in whole]
    assert not set(whole) & set(shuffled)


def test_without_questions_and_sense_a_vote_asks_for_what_it_did() -> None:
    plain: Plan = make_test_plan()
    request = make_vote_request(plain, "clarity", "A text.", "positive")

    assert {"answer"} == read_fields(request)
    assert {"answer", "question_1", "question_2"} == read_fields(make_vote_request(PLAN, "clarity", "A.", "positive"))
    assert 100 == request.max_tokens
    assert 136 == make_vote_request(PLAN, "clarity", "A text.", "positive", asks_sense=True).max_tokens
