"""A reply becomes exemplars, or the reason why there are none; a call that failed becomes one too."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.builders import make_cell, make_exemplar, make_level, make_model, make_seeds, make_test_plan
from fakes.client import CHAT, PLAIN, Answer, FakeClient, HeardProgress, make_fake_gateway
from fakes.reply_tables import place_in

from engine.asking.cells import (
    cut_sentences,
    generate_cell,
    limit_words,
    make_blank,
    make_chat_request,
    make_plain_request,
    propose_scenarios,
    read_reply,
)
from engine.asking.plan import CellHints, Plan
from engine.asking.prompts import make_proposal_schema, make_text_schema, write_words_only
from engine.asking.scenarios import NO_PROPOSAL, Proposal
from engine.domain.definition import OwnScenarios
from engine.domain.model import Seed
from engine.domain.samples import Exemplar, Reason
from engine.errors import CredentialsError, ProviderError, ProviderUnavailableError, RequestRefusedError
from engine.llm.client.request import REFUSED, Endpoint, Prompt, Reply, Request
from engine.llm.gateway.budget import CELLS_PER_CALL, RunBudget
from engine.llm.gateway.model_gateway import ModelGateway
from engine.llm.gateway.retrying import MAX_ATTEMPTS
from engine.system.concurrency import gather_or_cancel

PROMPT = Prompt("Write 1 text.")
TEXT = "The battery lies in the second drawer."
PLAN = make_test_plan()


def write_reply(*texts: str) -> str:
    return json.dumps({"text": texts[0]} if len(texts) == 1 else {"texts": texts})


GOOD = Reply(write_reply(TEXT), "stop", cost_usd=0.02)
SPOILED = Reply("no JSON", "stop", cost_usd=0.01)
CUT = Reply('{"te', "length", cost_usd=0.01)


def answer_in_order(*answers: Reply | Exception) -> Answer:
    """One after the other, and the last one again and again."""
    left = [*answers]
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


async def generate(
    folder: Path, *answers: Reply | Exception, endpoint: Endpoint = CHAT, plan: Plan = PLAN
) -> tuple[Exemplar, list[Request]]:
    """The one exemplar of a cell, and what was asked for it; a second start gives the same and asks nothing."""
    client = FakeClient(answer_in_order(*answers), endpoint)
    gateway = make_fake_gateway(folder, client)
    async with gateway.record_replies(plan.plan_id):
        [exemplar] = await generate_cell(plan, make_cell(), gateway)
        requests = [*client.requests]
        if not isinstance(answers[-1], Exception):
            budget = gateway.budget
            assert len(requests) == budget.calls
            assert pytest.approx(exemplar.cost_usd) == budget.cost_usd
            assert [exemplar] == await generate_cell(plan, make_cell(), gateway)
            assert requests == client.requests
    return exemplar, requests


def read(reply: Reply, endpoint: Endpoint = CHAT, count: int = 1) -> list[Exemplar]:
    return read_reply(make_blank(make_cell(index=3, order=7), endpoint.name, PROMPT), reply, endpoint.style, count)


def test_exemplar_knows_where_it_came_from() -> None:
    made = make_exemplar(TEXT, index=3, order=7)

    assert [replace(made, synth_model=CHAT.name, prompt_sha256=PROMPT.sha256, round_no=1, cost_usd=0.02)] == read(GOOD)
    assert read(replace(GOOD, cost_usd=None))[0].cost_usd is None


@pytest.mark.parametrize(
    ("reply", "finish", "endpoint", "text", "reason"),
    [
        (f"Here it is:\n```JSON\n{write_reply(TEXT)}\n```\nEnjoy!", "stop", CHAT, TEXT, None),
        (f"{write_reply(TEXT)}\n\n\n", "length", CHAT, TEXT, None),
        (TEXT, "stop", CHAT, TEXT, "unreadable"),
        ("", "stop", CHAT, "", "unreadable"),
        (write_reply(TEXT)[:-3], "stop", CHAT, write_reply(TEXT)[:-3], "truncated"),
        ("  The battery\tlies  here. ", "stop", PLAIN, "The battery lies here.", None),
        ("It stops. Then it goes", "length", PLAIN, "It stops.", None),
        ("The battery lies in", "length", PLAIN, "The battery lies in", "truncated"),
        ("It stops. Follow these steps:", "stop", PLAIN, "It stops.", None),
        ("Follow these steps:", "stop", PLAIN, "Follow these steps:", "truncated"),
        ('"The battery lies here."', "stop", PLAIN, "The battery lies here.", None),
        ('"Stop," he said. "It is here."', "stop", PLAIN, '"Stop," he said. "It is here."', None),
        ("refused: policy", REFUSED, CHAT, None, "refused"),
    ],
)
def test_reply_is_read_or_has_its_reason_and_is_kept(
    reply: str, finish: str, endpoint: Endpoint, text: str | None, reason: Reason | None
) -> None:
    [exemplar] = read(Reply(reply, finish), endpoint)

    assert (text, reason) == (exemplar.text, exemplar.reason)
    assert reason != "refused" or reply == exemplar.detail


def test_exemplars_of_one_reply_are_numbered_and_share_its_cost() -> None:
    exemplars = read(Reply(write_reply("one", "two", "three"), "stop", cost_usd=0.06), count=3)

    assert [("one", 0), ("two", 1), ("three", 2)] == [(item.text, item.number) for item in exemplars]
    assert [0.02] * 3 == [item.cost_usd for item in exemplars]
    assert 3 == len({item.key for item in exemplars})


async def test_embedded_model_goes_on_with_a_document(tmp_path: Path) -> None:
    plan, cell = make_test_plan(make_model(seeds=make_seeds())), make_cell()
    exemplar, [request] = await generate(tmp_path, Reply(f" {TEXT}", "stop"), endpoint=PLAIN, plan=plan)

    assert TEXT == exemplar.text
    assert make_plain_request(plan, cell) == request
    assert (None, None, ("\n",)) == (request.schema, request.prompt.system, request.stop)
    assert request.prompt.user.endswith(f"Topic: {cell.scenario.subject}\nClear:")


@pytest.mark.parametrize(("thinks", "thinking"), [(True, "low"), (False, "none")])
async def test_thinking_is_asked_only_of_a_model_that_can(tmp_path: Path, thinks: bool, thinking: str) -> None:
    plan = make_test_plan(level=make_level(thinking="low"))
    _, [request] = await generate(tmp_path, GOOD, endpoint=replace(CHAT, thinks=thinks), plan=plan)

    assert thinking == request.thinking


async def test_call_that_fails_for_good_is_a_failed_cell_while_others_succeed(tmp_path: Path) -> None:
    good, bad = make_cell("positive"), make_cell("negative")
    said = "openai/test does not answer: HTTP 503"
    client = FakeClient(answer_in_order(GOOD, ProviderUnavailableError(said, 0.0)))
    gateway = make_fake_gateway(tmp_path, client)
    async with gateway.record_replies(PLAN.plan_id):
        [kept] = await generate_cell(PLAN, good, gateway)
        [failed] = await generate_cell(PLAN, bad, gateway)

    assert (TEXT, None) == (kept.text, kept.reason)
    assert (None, "cell_failed", said) == (failed.text, failed.reason, failed.detail)
    assert ("negative", bad.id, None) == (failed.pole, failed.cell_id, failed.cost_usd)
    assert client.requests[-1].prompt.sha256 == failed.prompt_sha256
    assert 1 + MAX_ATTEMPTS == len(client.requests)


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (ProviderUnavailableError("openai/test does not answer", 0.0), ProviderError),
        (CredentialsError("openai/test refuses the key"), CredentialsError),
    ],
)
async def test_nothing_answers_is_an_error_and_no_failed_cell(
    tmp_path: Path, error: Exception, raised: type[Exception]
) -> None:
    with pytest.raises(raised):
        await generate(tmp_path, error)


async def propose(
    folder: Path, reply: Reply, endpoint: Endpoint = CHAT, scenarios: OwnScenarios | None = None
) -> tuple[Proposal, list[Request]]:
    plan, client = (
        make_test_plan(make_model(scenarios=scenarios or OwnScenarios())),
        FakeClient(lambda _: reply, endpoint),
    )
    gateway = make_fake_gateway(folder, client)
    async with gateway.record_replies(plan.plan_id):
        return await propose_scenarios(plan, gateway), client.requests


async def test_chat_model_proposes_subjects_audiences_and_forms_in_one_call(tmp_path: Path) -> None:
    subjects = ["moving house", " moving\n house ", "a lost  key", "x" * 81, "x" * 80]
    said = {"subjects": subjects, "audiences": ["a  shopper"], "forms": ["a product review", "a test"]}
    proposal, [request] = await propose(tmp_path, Reply(json.dumps(said), "stop"))

    assert (
        Proposal(("moving house", "a lost key", "x" * 80), ("a shopper",), ("a product review", "a test")) == proposal
    )
    assert make_proposal_schema({"subjects": 60, "audiences": 8, "forms": 6}) == request.schema
    assert "subjects" == request.label
    asked = re.findall(r"Propose (\d+ \w+)", request.prompt.user)
    assert ["60 subjects", "8 audiences", "6 forms"] == sorted(asked, key=lambda said: -int(said.split()[0]))


async def test_what_the_author_gives_is_not_asked_for(tmp_path: Path) -> None:
    given = OwnScenarios(subjects=("a kettle",), forms=("a product review",))
    reply = Reply(json.dumps({"subjects": ["another"], "audiences": ["a shopper"]}), "stop")
    proposal, [request] = await propose(tmp_path, reply, scenarios=given)

    assert Proposal(audiences=("a shopper",)) == proposal
    assert make_proposal_schema({"audiences": 8}) == request.schema
    assert ["Propose 8 audiences"] == re.findall(r"Propose \d+ \w+", request.prompt.user)


@pytest.mark.parametrize(
    ("endpoint", "given"),
    [
        (CHAT, OwnScenarios(pack="bugs")),
        (CHAT, OwnScenarios(subjects=("a",), audiences=("b",), forms=("c",))),
        (PLAIN, OwnScenarios()),
    ],
)
async def test_nothing_is_asked_where_the_author_gives_all_or_the_model_is_embedded(
    tmp_path: Path, endpoint: Endpoint, given: OwnScenarios
) -> None:
    assert (NO_PROPOSAL, []) == await propose(tmp_path, Reply("", "stop"), endpoint, given)


KETTLE = '{"subjects": ["a kettle", 2], "audiences": ["a shopper"], "forms": '


@pytest.mark.parametrize(
    ("said", "finish", "proposal"),
    [
        # What stands before the cut is proposed.
        ('{"answer": {"subjects": ["a key"], "audiences": ["a cook", "a', "length", Proposal(("a key",), ("a cook",))),
        ('{"subjects": ["a lo', "length", NO_PROPOSAL),
        ('Sure!\n{"Subjects": ["a key"]}\n{"forms": ["a note"]}', "stop", Proposal(("a key",), (), ("a note",))),
        # A part that is no use costs itself alone.
        (f"{KETTLE}null}}", "stop", Proposal(("a kettle",), ("a shopper",))),
        (f'{KETTLE}"a review"}}', "stop", Proposal(("a kettle",), ("a shopper",))),
        (f'{KETTLE}[1, " "]}}', "stop", Proposal(("a kettle",), ("a shopper",))),
        ("moving house, a lost key", "stop", NO_PROPOSAL),
        ("refused", REFUSED, NO_PROPOSAL),
    ],
)
async def test_phrases_that_can_be_read_are_proposed(
    tmp_path: Path, said: str, finish: str, proposal: Proposal
) -> None:
    proposed, requests = await propose(tmp_path, Reply(said, finish))

    assert (proposal, 1) == (proposed, len(requests))


@pytest.mark.parametrize(
    ("text", "max_words", "kept"),
    [
        ("It stops. Then it goes on and", None, "It stops."),
        ("It stops at two. It starts at three. It", 8, "It stops at two. It starts at three."),
        ("It stops at two. It starts at three.", 7, "It stops at two."),
        ("A first sentence is kept however long it is.", 3, "A first sentence is kept however long it is."),
        ("Version 1.2 is e.g. faster. Done.", 5, "Version 1.2 is e.g. faster."),
        ("no end in sight", 10, ""),
    ],
)
def test_document_is_cut_after_a_whole_sentence(text: str, max_words: int | None, kept: str) -> None:
    assert kept == cut_sentences(text, max_words)


def test_texts_may_be_as_long_as_the_seeds_and_four_tenths_more() -> None:
    seeds = (Seed("clarity", "one two three four", 1.0), Seed("clarity", "one two three four five six", 0.0))

    assert 7 == limit_words(make_model(seeds=seeds), "clarity")


@pytest.mark.parametrize(
    ("hints", "seeded", "words"),
    [(CellHints(), False, 40), (CellHints(words=(6, 10)), True, 10), (CellHints(), True, 20)],
)
async def test_document_is_cut_at_the_length_of_its_cell(
    tmp_path: Path, hints: CellHints, seeded: bool, words: int
) -> None:
    plan = make_test_plan(make_model(seeds=make_seeds() if seeded else ()))
    client = FakeClient(lambda _: Reply("A b c d e. " * 20, "stop"), PLAIN)
    gateway = make_fake_gateway(tmp_path, client)
    async with gateway.record_replies(plan.plan_id):
        [exemplar] = await generate_cell(plan, replace(make_cell(), hints=hints), gateway)

    assert words == len((exemplar.text or "").split())


@pytest.mark.parametrize(
    "first",
    [CUT, Reply("", "stop", cost_usd=0.01), Reply('{"content": "a text"}', "stop", cost_usd=0.01)],
    ids=["cut", "empty", "without a text"],
)
async def test_reply_that_is_no_use_is_asked_for_once_more_and_otherwise(tmp_path: Path, first: Reply) -> None:
    exemplar, requests = await generate(tmp_path, first, GOOD)

    asked = make_chat_request(PLAN, make_cell())
    in_words = replace(asked, prompt=write_words_only(asked.prompt, make_text_schema(1)), schema=None)
    assert [asked, replace(asked, max_tokens=2 * asked.max_tokens) if first == CUT else in_words] == requests
    assert (TEXT, None, 0.03) == (exemplar.text, exemplar.reason, exemplar.cost_usd)
    assert requests[1].prompt.sha256 == exemplar.prompt_sha256


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([SPOILED], ("no JSON", "unreadable", 0.02, 2)),
        # Where no second reply comes the first one stands.
        ([SPOILED, RequestRefusedError("too long")], ("no JSON", "unreadable", 0.01, 2)),
        ([SPOILED, replace(CUT, finish="stop")], ('{"te', "truncated", 0.02, 2)),
        ([Reply("", REFUSED)], (None, "refused", None, 1)),
    ],
)
async def test_reply_that_is_no_use_is_rejected_and_costs_what_all_did(
    tmp_path: Path, answers: list[Reply | Exception], expected: tuple[str | None, Reason, float | None, int]
) -> None:
    exemplar, requests = await generate(tmp_path, *answers)

    assert expected == (exemplar.text, exemplar.reason, exemplar.cost_usd, len(requests))


async def test_prompts_are_written_as_calls_end_in_the_order_of_the_cells(tmp_path: Path) -> None:
    written, ahead = list[Request](), list[int]()

    class Counting(ModelGateway):
        async def complete(self, request: Request) -> Reply:
            written.append(request)
            return await super().complete(request)

    def answer(_: Request) -> Reply:
        ahead.append(len(written) - len(client.requests))
        return GOOD

    cells, client = [make_cell(index=index) for index in range(60)], FakeClient(answer)
    gateway = Counting(client, place_in(tmp_path), HeardProgress(), RunBudget(2))
    async with gateway.record_replies(PLAN.plan_id):
        await gather_or_cancel(generate_cell(PLAN, cell, gateway) for cell in cells)

    assert [cell.id for cell in cells] == [request.label for request in client.requests]
    assert max(ahead) <= 2 * CELLS_PER_CALL < 60 - 2


def test_plain_seed_tells_cells_apart_and_is_the_same_again() -> None:
    plan = make_test_plan(make_model(seeds=make_seeds()))
    cells = [
        make_cell(pole, index, draw=draw) for pole in ("positive", "negative") for index in (0, 1) for draw in (0, 1)
    ]
    seeds = [make_plain_request(plan, cell).seed for cell in cells]

    assert 8 == len(set(seeds))
    assert seeds == [make_plain_request(plan, cell).seed for cell in cells]


def test_more_exemplars_a_call_and_longer_texts_get_more_tokens() -> None:
    one = make_chat_request(make_test_plan(), make_cell())
    five = make_chat_request(make_test_plan(level=make_level(exemplars_per_call=5)), make_cell())

    assert 2 * 25 * 4 == five.max_tokens - one.max_tokens
    assert "answer with 5 texts" in (five.prompt.system or "")
