"""A decision model as judge: one request a text in the words of a vote, and how sure it is in the row."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes.builders import make_exemplar, make_model, make_stamp, make_test_plan, make_trait
from fakes.client import CHAT, FakeClient, HeardProgress, make_fake_gateway

from engine.asking.plan import Plan
from engine.domain.definition import Question, Trait
from engine.domain.samples import make_row
from engine.errors import ProviderError, RequestRefusedError
from engine.llm.client.request import REFUSED, Prompt, Reply, Request
from engine.screening.sense import write_decision
from engine.screening.voting_judge import VotingJudge, make_vote_request

JUDGE = replace(CHAT, name="typesafe/jev-latest", identity="typesafe/jev-latest@", decides=True)
QUESTION = Question("Does it name a competitor?", "no")
PLAN = make_test_plan(replace(make_model(), questions=(QUESTION,)))
CLEAR = "The battery lies in the second drawer."


def decide(request: Request) -> Reply:
    """A judge that is right, and does not know the sign of the word Odd."""
    text = request.prompt.user
    said: dict[str, Any] = {"answer": "Odd" if "Odd" in text else "Clear", "probability": 0.75}
    said["sense"] = "yes" if text.endswith(".") and text[0].isupper() else "no"
    said["question_1"] = "yes" if "Acme" in text else "no"
    return Reply(json.dumps(said), REFUSED if "Refuse" in text else "stop", 90, 0, 0.001)


async def judge(folder: Path, client: FakeClient, *texts: str, plan: Plan = PLAN) -> list[Any]:
    voting_judge = VotingJudge(make_fake_gateway(folder, client, HeardProgress()), 1)
    async with voting_judge.gateway.record_replies(plan.plan_id):
        exemplars = [make_exemplar(text, index=index) for index, text in enumerate(texts)]
        return await voting_judge.judge(plan, exemplars, HeardProgress())


@pytest.mark.parametrize("trait_type", ["spectrum", "topic", "claim", "outlier"])
@pytest.mark.parametrize("labels", [("Clear", "Obscure"), ("Both", "Neither"), ('Say "yes": now', "Clear")])
@pytest.mark.parametrize("told", [(), ("It is so.", "And - it\n- is not.")])
def test_choice_has_the_words_of_the_vote_and_both_poles_change_places(
    trait_type: Any, labels: tuple[str, str], told: tuple[str, ...]
) -> None:
    names = dict(zip(("positive_label", "negative_label"), labels, strict=True))
    trait: Trait = make_trait(type=trait_type, **names, positive_paraphrase=told, negative_paraphrase=told)
    model = make_model(trait)
    one, sense = write_decision(model, trait, "positive", asks_sense=True)
    [other] = write_decision(model, trait, "negative", asks_sense=False)
    choices: Any = one["choices"]
    turned: Any = other["choices"]
    vote = make_vote_request(make_test_plan(model), trait.key, CLEAR, "positive", asks_sense=True).prompt
    neither = "neither of them" if "Neither" in labels else "neither"

    assert [*labels, neither] == [choice["value"] for choice in choices]
    assert [*reversed(labels), neither] == [choice["value"] for choice in turned]
    assert " ".join(told) in choices[0].get("description", "")
    assert all(choice.get("description", "") in vote.user for choice in choices)
    assert choices[2]["description"]
    assert bool(told or trait_type != "spectrum") == all("description" in choice for choice in choices)
    for line in str(one["instructions"]).splitlines():
        assert line in f"{vote.system}\n{vote.user}".splitlines()
    assert trait.description in str(one["instructions"])
    assert f'{sense["instructions"]} Say so in the field "sense"' in vote.user
    assert CLEAR not in json.dumps([one, sense])


async def test_one_request_a_text_decides_and_the_row_says_how_surely(tmp_path: Path) -> None:
    client = FakeClient(decide, JUDGE)
    texts = (CLEAR, "drawer the lies in battery second the", f"{CLEAR} Acme made it.", f"{CLEAR} Refuse it.")
    fine, nonsense, named, refused = await judge(tmp_path, client, *texts)
    requests = client.requests[-len(texts) :]
    [entry] = json.loads(make_row(fine, make_stamp(), None)["judge_votes"] or "")
    again = FakeClient(decide, JUDGE)

    assert [None, "no_sense", "own_question", "off_pole"] == [each.reason for each in (fine, nonsense, named, refused)]
    assert {**entry, "probability": 0.75, "sense": True, "questions": {QUESTION.ask: False}} == entry
    assert 8 + len(texts) == len(client.requests)
    assert {*texts} == {request.prompt.user for request in requests}
    assert {0.0} == {request.temperature for request in requests}
    assert {3} == {len(request.questions) for request in requests}
    assert 0.001 == fine.cost_usd
    assert [fine, nonsense, named, refused] == await judge(tmp_path, again, *texts)
    assert [] == again.requests


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Reply('{"answer": "Odd"}', "stop"), "casts no vote that can be read"),
        (Reply("{}", REFUSED), "casts no vote that can be read"),
        (RequestRefusedError("It is not taken"), "no call has been answered"),
    ],
)
async def test_judge_of_no_use_ends_the_run(tmp_path: Path, answer: Reply | Exception, error: str) -> None:
    client = FakeClient(lambda _: answer, JUDGE)
    with pytest.raises(ProviderError, match=error):
        await judge(tmp_path, client, *(f"{CLEAR} {number}" for number in range(12)))


def test_replies_of_other_models_are_kept_under_keys_that_know_no_questions() -> None:
    request = Request(Prompt("Is it?"), 100, 0.0, {"type": "object"})

    assert "628c8bb5db5e253fb9a87a59d4a04d8baf65efededef6eafe2c70076f2c5ecf8" == request.digest("openai/test@")
    assert request.digest("openai/test@") != replace(request, questions=({"name": "answer"},)).digest("openai/test@")
