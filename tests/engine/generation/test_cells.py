"""A reply becomes exemplars, or the reason why there are none; a call that failed becomes one too."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from fakes.builders import make_cell, make_model, make_seeds, make_test_plan
from fakes.client import CHAT, PLAIN, Answer, FakeClient, HeardProgress

from engine.domain.model import OwnScenarios, Seed
from engine.domain.samples import Exemplar, Reason
from engine.errors import (
    ContextTooLongError,
    CredentialsError,
    ProviderError,
    ProviderUnavailableError,
    RequestRefusedError,
)
from engine.gateway.budget import CELLS_PER_CALL, RunBudget
from engine.gateway.model_gateway import ModelGateway
from engine.gateway.retrying import MAX_ATTEMPTS
from engine.generation.cells import (
    cut_sentences,
    generate_cell,
    limit_words,
    propose_scenarios,
    read_reply,
)
from engine.generation.first_replies import MIN_HOPELESS, FirstReplies
from engine.generation.prompts import make_proposal_schema, make_text_schema, write_words_only
from engine.generation.requests import make_chat_request, make_plain_request
from engine.llm.request import REFUSED, Endpoint, Prompt, Reply, Request
from engine.planning.plan import Cell, Plan
from engine.planning.scenarios import NO_PROPOSAL, Proposal
from engine.settings import RepliesPlace
from engine.system.task_groups import gather_or_cancel

PROMPT = Prompt("Write 1 text.")
TEXT = "The battery lies in the second drawer."


def make_gateway(folder: Path, answer: Answer, endpoint: Endpoint = CHAT, concurrency: int = 4) -> ModelGateway:
    return ModelGateway(
        FakeClient(answer, endpoint),
        RepliesPlace(str(folder)),
        HeardProgress(),
        RunBudget(concurrency),
        wait_seconds=0.001,
    )


def write_reply(*texts: str) -> str:
    return json.dumps({"text": texts[0]} if len(texts) == 1 else {"texts": texts})


def read(text: str, finish: str = "stop", endpoint: Endpoint = CHAT, count: int = 1) -> list[Exemplar]:
    gateway = make_gateway(Path("nowhere"), lambda _: AssertionError("nothing is asked"), endpoint)
    return read_reply(make_cell(), gateway, PROMPT, Reply(text, finish, cost_usd=0.06), count)


def read_one(text: str, finish: str = "stop", endpoint: Endpoint = CHAT) -> tuple[str | None, Reason | None]:
    [exemplar] = read(text, finish, endpoint)
    return exemplar.text, exemplar.reason


def test_json_is_read_from_wherever_it_stands() -> None:
    assert (TEXT, None) == read_one(f"Here it is:\n```JSON\n{write_reply(TEXT)}\n```\nEnjoy!")


def test_exemplar_knows_where_it_came_from() -> None:
    cell = make_cell(index=3, order=7)
    gateway = make_gateway(Path("nowhere"), lambda _: AssertionError("nothing is asked"))
    [exemplar] = read_reply(cell, gateway, PROMPT, Reply(write_reply(TEXT), "stop", cost_usd=0.06))

    assert (
        Exemplar(
            cell_id=cell.id,
            number=0,
            order=7,
            trait="clarity",
            pole="positive",
            scenario=cell.scenario,
            pair_id=cell.pair_id,
            text=TEXT,
            reason=None,
            synth_model=CHAT.name,
            prompt_sha256=PROMPT.sha256,
            round_no=1,
            cost_usd=0.06,
        )
        == exemplar
    )


@pytest.mark.parametrize("text", [TEXT, "", '{"content": "one"}', r'{"text": "It is in C:\data\new.",}'])
def test_reply_that_is_not_as_asked_is_unreadable_and_kept(text: str) -> None:
    assert (text, "unreadable") == read_one(text)


@pytest.mark.parametrize(
    "cut", [write_reply(TEXT)[:-3], write_reply(TEXT)[:30], "{", f"```json\n{write_reply(TEXT)[:40]}"]
)
def test_json_that_breaks_off_is_truncated(cut: str) -> None:
    assert (cut, "truncated") == read_one(cut)


@pytest.mark.parametrize("endpoint", [CHAT, PLAIN])
@pytest.mark.parametrize("text", [write_reply(TEXT)[:-4], "The battery lies in"])
def test_reply_at_its_token_limit_is_truncated(endpoint: Endpoint, text: str) -> None:
    assert (text, "truncated") == read_one(text, "length", endpoint)


def test_whole_object_is_read_though_its_reply_goes_on_to_the_token_limit() -> None:
    assert (TEXT, None) == read_one(f"{write_reply(TEXT)}\n\n\n", "length")


@pytest.mark.parametrize("endpoint", [CHAT, PLAIN])
def test_reply_of_a_content_filter_is_refused_with_what_was_said(endpoint: Endpoint) -> None:
    [exemplar] = read("openai/test refuses this prompt: policy", "content_filter", endpoint)

    assert (None, "refused") == (exemplar.text, exemplar.reason)
    assert "openai/test refuses this prompt: policy" == exemplar.detail


def test_exemplars_of_one_reply_are_numbered_and_share_its_cost() -> None:
    exemplars = read(write_reply("one", "two", "three"), count=3)

    assert [("one", 0), ("two", 1), ("three", 2)] == [(item.text, item.number) for item in exemplars]
    assert [0.02] * 3 == [item.cost_usd for item in exemplars]
    assert 3 == len({item.key for item in exemplars})


def test_unknown_cost_stays_unknown() -> None:
    gateway = make_gateway(Path("nowhere"), lambda _: AssertionError("nothing is asked"))
    [exemplar] = read_reply(make_cell(), gateway, PROMPT, Reply(write_reply(TEXT), "stop"))

    assert None is exemplar.cost_usd


def test_plain_reply_is_the_text_with_single_spaces() -> None:
    assert ("The battery lies here.", None) == read_one("  The battery\tlies  here. ", endpoint=PLAIN)
    assert (write_reply(TEXT), None) == read_one(write_reply(TEXT), endpoint=PLAIN)


async def test_cell_is_asked_for_with_its_schema_and_becomes_exemplars(tmp_path: Path) -> None:
    plan, cell = make_test_plan(), make_cell()
    client = FakeClient(lambda _: Reply(write_reply(TEXT), "stop"))
    gateway = ModelGateway(client, RepliesPlace(str(tmp_path)), HeardProgress(), RunBudget(1))
    async with gateway.keeping(plan.plan_id):
        [exemplar] = await generate_cell(plan, cell, gateway, "English")

    assert (TEXT, None) == (exemplar.text, exemplar.reason)
    assert [make_chat_request(plan, cell, "English")] == client.requests
    assert make_text_schema(1) == client.requests[0].schema
    assert client.requests[0].prompt.sha256 == exemplar.prompt_sha256


async def test_embedded_model_goes_on_with_a_document(tmp_path: Path) -> None:
    plan, cell = make_test_plan(make_model(seeds=make_seeds())), make_cell()
    client = FakeClient(lambda _: Reply(f" {TEXT}", "stop"), PLAIN)
    gateway = ModelGateway(client, RepliesPlace(str(tmp_path)), HeardProgress(), RunBudget(1))
    async with gateway.keeping(plan.plan_id):
        [exemplar] = await generate_cell(plan, cell, gateway, "English")

    assert TEXT == exemplar.text
    [request] = client.requests
    assert make_plain_request(plan, cell) == request
    assert (None, None, ("\n",)) == (request.schema, request.prompt.system, request.stop)
    assert request.prompt.user.endswith(f"Topic: {cell.scenario.subject}\nClear:")


async def test_call_that_fails_for_good_is_a_failed_cell_while_others_succeed(tmp_path: Path) -> None:
    plan = make_test_plan()
    good, bad = make_cell("positive"), make_cell("negative")
    marked = make_chat_request(plan, bad, "English").prompt

    def answer(request: Request) -> Reply | Exception:
        if request.prompt == marked:
            return ProviderUnavailableError("openai/test does not answer: HTTP 503", 0.0)
        return Reply(write_reply(TEXT), "stop")

    client = FakeClient(answer)
    gateway = ModelGateway(client, RepliesPlace(str(tmp_path)), HeardProgress(), RunBudget(1), wait_seconds=0.001)
    async with gateway.keeping(plan.plan_id):
        [kept] = await generate_cell(plan, good, gateway, "English")
        [failed] = await generate_cell(plan, bad, gateway, "English")

    assert (TEXT, None) == (kept.text, kept.reason)
    assert (None, "cell_failed") == (failed.text, failed.reason)
    assert "openai/test does not answer: HTTP 503" == failed.detail
    assert ("negative", bad.id, marked.sha256, None) == (
        failed.pole,
        failed.cell_id,
        failed.prompt_sha256,
        failed.cost_usd,
    )
    assert 1 + MAX_ATTEMPTS == len(client.requests)


async def test_nothing_answers_is_an_error_and_no_failed_cell(tmp_path: Path) -> None:
    plan = make_test_plan()
    gateway = make_gateway(tmp_path, lambda _: ProviderUnavailableError("openai/test does not answer", 0.0))
    with pytest.raises(ProviderError, match="no call has been answered"):
        async with gateway.keeping(plan.plan_id):
            await generate_cell(plan, make_cell(), gateway, "English")


async def test_refused_key_is_an_error_and_no_failed_cell(tmp_path: Path) -> None:
    plan = make_test_plan()
    gateway = make_gateway(tmp_path, lambda _: CredentialsError("openai/test refuses the key"))
    with pytest.raises(CredentialsError):
        async with gateway.keeping(plan.plan_id):
            await generate_cell(plan, make_cell(), gateway, "English")


async def propose(
    folder: Path, answer: Answer, endpoint: Endpoint = CHAT, scenarios: OwnScenarios | None = None
) -> tuple[Proposal, list[Request]]:
    plan = make_test_plan(make_model(scenarios=scenarios or OwnScenarios()))
    client = FakeClient(answer, endpoint)
    gateway = ModelGateway(client, RepliesPlace(str(folder)), HeardProgress(), RunBudget(1))
    async with gateway.keeping(plan.plan_id):
        return await propose_scenarios(plan, gateway), client.requests


async def test_chat_model_proposes_subjects(tmp_path: Path) -> None:
    said = ["moving house", " moving\n house ", "a lost  key", "x" * 81, "x" * 80]
    proposal, [request] = await propose(tmp_path, lambda _: Reply(json.dumps({"subjects": said}), "stop"))

    assert Proposal(("moving house", "a lost key", "x" * 80)) == proposal
    assert make_proposal_schema({"subjects": 60, "audiences": 8, "forms": 6}) == request.schema
    assert "subjects" == request.label
    assert "Propose 60 subjects" in request.prompt.user


@pytest.mark.parametrize(
    ("cut", "proposal"),
    [
        ('{"subjects": ["a lost key", "moving house", "a ke', Proposal(("a lost key", "moving house"))),
        (
            '{"subjects": ["a lost key"], "audiences": ["a shopper", "a cook", "a',
            Proposal(("a lost key",), ("a shopper", "a cook")),
        ),
        ('{"answer": {"subjects": ["a lost key", "mo', Proposal(("a lost key",))),
        ('{"subjects": ["a lo', NO_PROPOSAL),
        ("I would propose", NO_PROPOSAL),
    ],
)
async def test_phrases_before_the_cut_are_proposed(tmp_path: Path, cut: str, proposal: Proposal) -> None:
    assert proposal == (await propose(tmp_path, lambda _: Reply(cut, "length")))[0]


async def test_forms_and_audiences_are_proposed_in_the_same_call(tmp_path: Path) -> None:
    reply = json.dumps({"subjects": ["a kettle"], "audiences": ["a  shopper"], "forms": ["a product review", "a test"]})
    proposal, requests = await propose(tmp_path, lambda _: Reply(reply, "stop"))

    assert Proposal(("a kettle",), ("a shopper",), ("a product review", "a test")) == proposal
    assert 1 == len(requests)
    assert "Propose 6 forms" in requests[0].prompt.user
    assert "Propose 8 audiences" in requests[0].prompt.user


async def test_what_the_author_gives_is_not_asked_for(tmp_path: Path) -> None:
    given = OwnScenarios(subjects=("a kettle",), forms=("a product review",))
    reply = Reply(json.dumps({"subjects": ["another"], "audiences": ["a shopper"]}), "stop")
    proposal, [request] = await propose(tmp_path, lambda _: reply, scenarios=given)

    assert Proposal(audiences=("a shopper",)) == proposal
    assert make_proposal_schema({"audiences": 8}) == request.schema
    assert ["Propose 8 audiences"] == re.findall(r"Propose \d+ \w+", request.prompt.user)


@pytest.mark.parametrize(
    "given", [OwnScenarios(pack="bugs"), OwnScenarios(subjects=("a",), audiences=("b",), forms=("c",))]
)
async def test_author_who_gives_all_saves_the_call(tmp_path: Path, given: OwnScenarios) -> None:
    assert (NO_PROPOSAL, []) == await propose(tmp_path, lambda _: Reply("", "stop"), scenarios=given)


async def test_subjects_are_read_from_wherever_they_stand(tmp_path: Path) -> None:
    said = 'Sure!\n```json\n{"Subjects": ["moving house"], "note": "mine"}\n```\n```json\n{"forms": ["a note"]}\n```'
    proposal, _ = await propose(tmp_path, lambda _: Reply(said, "stop"))

    assert Proposal(("moving house",), forms=("a note",)) == proposal


@pytest.mark.parametrize("forms", ["null", "[]", '"a review"', '[1, " "]', '[{"form": "a review"}]'])
async def test_forms_that_are_no_use_cost_nothing_else(tmp_path: Path, forms: str) -> None:
    reply = Reply(f'{{"subjects": ["a kettle", 2], "audiences": ["a shopper"], "forms": {forms}}}', "stop")
    proposal, _ = await propose(tmp_path, lambda _: reply)

    assert Proposal(("a kettle",), ("a shopper",)) == proposal


async def test_embedded_model_is_not_asked_for_subjects(tmp_path: Path) -> None:
    assert (NO_PROPOSAL, []) == await propose(tmp_path, lambda _: Reply("", "stop"), PLAIN)


@pytest.mark.parametrize(
    "reply",
    [
        Reply("moving house, a lost key", "stop"),
        Reply('{"subjects": ["moving hou', "length"),
        Reply("refused", "content_filter"),
        Reply('{"subjects": [1, 2]}', "stop"),
        Reply('{"subjects": [" "]}', "stop"),
    ],
)
async def test_subjects_that_are_no_use_are_none(tmp_path: Path, reply: Reply) -> None:
    proposal, requests = await propose(tmp_path, lambda _: reply)

    assert (NO_PROPOSAL, 1) == (proposal, len(requests))


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
    assert limit_words(make_model(), "clarity") is None


GOOD = Reply(write_reply(TEXT), "stop", cost_usd=0.02)


async def ask_twice(folder: Path, plan: Plan, cell: Cell, replies: list[Reply]) -> tuple[list[Request], Exemplar]:
    """The requests for a cell that is generated twice, and its exemplar, which is the same both times."""
    client = FakeClient(lambda _: replies.pop(0))
    gateway = ModelGateway(client, RepliesPlace(str(folder)), HeardProgress(), RunBudget(1))
    async with gateway.keeping(plan.plan_id):
        [exemplar] = await generate_cell(plan, cell, gateway, "English")
        assert [exemplar] == await generate_cell(plan, cell, gateway, "English")
    return client.requests, exemplar


@pytest.mark.parametrize(
    ("first", "more_room"),
    [
        (Reply('{"te', "length", cost_usd=0.01), True),
        (Reply("", "stop", cost_usd=0.01), False),
        (Reply("Here it is: a text.", "stop", cost_usd=0.01), False),
        (Reply('{"content": "a text"}', "stop", cost_usd=0.01), False),
        (Reply('{"texts": []}', "stop", cost_usd=0.01), False),
    ],
)
async def test_reply_that_is_no_use_is_asked_for_once_more_and_otherwise(
    tmp_path: Path, first: Reply, more_room: bool
) -> None:
    plan, cell = make_test_plan(), make_cell()
    requests, exemplar = await ask_twice(tmp_path, plan, cell, [first, GOOD])

    asked = make_chat_request(plan, cell, "English")
    in_words = replace(asked, prompt=write_words_only(asked.prompt, make_text_schema(1)), schema=None)
    assert [asked, replace(asked, max_tokens=2 * asked.max_tokens) if more_room else in_words] == requests
    assert (TEXT, None, 0.03) == (exemplar.text, exemplar.reason, exemplar.cost_usd)
    assert requests[1].prompt.sha256 == exemplar.prompt_sha256


async def test_reply_that_is_no_use_is_asked_for_three_times_again_each_a_request_of_its_own(tmp_path: Path) -> None:
    plan, cell = make_test_plan(), make_cell()
    cut, spoiled = Reply('{"te', "length", cost_usd=0.01), Reply("no JSON", "stop", cost_usd=0.01)
    requests, exemplar = await ask_twice(tmp_path, plan, cell, [spoiled, cut, spoiled, GOOD])

    asked = make_chat_request(plan, cell, "English")
    in_words = asked.without_schema()
    roomier = replace(in_words, max_tokens=2 * asked.max_tokens)
    assert [asked, in_words, roomier, roomier] == requests
    assert ["", "/again/1", "/again/2", "/again/3"] == [item.label.removeprefix(cell.id) for item in requests]
    assert 4 == len({item.digest(CHAT.identity) for item in requests})
    assert (TEXT, None) == (exemplar.text, exemplar.reason)
    assert pytest.approx(0.05) == exemplar.cost_usd


async def test_reply_that_is_no_use_four_times_is_rejected_and_cost_what_all_did(tmp_path: Path) -> None:
    plan = make_test_plan()
    client = FakeClient(lambda _: Reply("no JSON", "stop", cost_usd=0.01))
    gateway = ModelGateway(client, RepliesPlace(str(tmp_path)), HeardProgress(), RunBudget(1))
    async with gateway.keeping(plan.plan_id):
        [exemplar] = await generate_cell(plan, make_cell(), gateway, "English")

    assert ("unreadable", 0.04, 4) == (exemplar.reason, exemplar.cost_usd, len(client.requests))
    assert (4, 0.04) == (gateway.budget.calls, gateway.budget.cost_usd)


async def test_replies_of_a_version_that_asked_twice_give_what_they_gave(tmp_path: Path) -> None:
    plan = make_test_plan()
    rest = [Reply("no JSON", "stop", cost_usd=0.01), Reply("none again", "stop", cost_usd=0.02)]
    client = FakeClient(lambda _: rest.pop(0) if rest else RequestRefusedError("none is left"))
    gateway = ModelGateway(client, RepliesPlace(str(tmp_path)), HeardProgress(), RunBudget(1))
    async with gateway.keeping(plan.plan_id):
        [exemplar] = await generate_cell(plan, make_cell(), gateway, "English")

    assert ("none again", "unreadable", 0.03) == (exemplar.text, exemplar.reason, exemplar.cost_usd)


async def test_run_that_ended_between_two_replies_goes_on_with_the_next(tmp_path: Path) -> None:
    plan, cell, spoiled = make_test_plan(), make_cell(), Reply("no JSON", "stop", cost_usd=0.01)
    rest: list[Reply | Exception] = [spoiled, spoiled, CredentialsError("openai/test refuses the key"), GOOD]
    clients = [FakeClient(lambda _: rest.pop(0)) for _ in range(2)]
    first, second = (
        ModelGateway(client, RepliesPlace(str(tmp_path)), HeardProgress(), RunBudget(1)) for client in clients
    )
    with pytest.raises(CredentialsError):
        async with first.keeping(plan.plan_id):
            await generate_cell(plan, cell, first, "English")
    async with second.keeping(plan.plan_id):
        [exemplar] = await generate_cell(plan, cell, second, "English")

    assert [f"{cell.id}/again/2"] == [request.label for request in clients[1].requests]
    assert (TEXT, 0.04, 1) == (exemplar.text, exemplar.cost_usd, second.budget.calls)


async def ask_round(folder: Path, answer: Answer, cells: int = MIN_HOPELESS) -> tuple[list[Exemplar], list[Request]]:
    plan, client, asked = make_test_plan(), FakeClient(answer), [make_cell(index=index) for index in range(cells)]
    first_replies = FirstReplies(asked)
    gateway = ModelGateway(client, RepliesPlace(str(folder)), HeardProgress(), RunBudget(2))
    async with gateway.keeping(plan.plan_id):
        made = await gather_or_cancel(generate_cell(plan, cell, gateway, "English", first_replies) for cell in asked)
    return [exemplar for cell in made for exemplar in cell], client.requests


@pytest.mark.parametrize(
    ("cells", "calls"), [(MIN_HOPELESS - 1, 4 * (MIN_HOPELESS - 1)), (MIN_HOPELESS, 2 * MIN_HOPELESS)]
)
async def test_round_of_which_nothing_can_be_read_is_asked_for_twice(tmp_path: Path, cells: int, calls: int) -> None:
    made, requests = await ask_round(tmp_path, lambda _: Reply("no JSON", "stop"), cells)

    assert (["unreadable"] * cells, calls) == ([exemplar.reason for exemplar in made], len(requests))


@pytest.mark.parametrize("readable", [0, MIN_HOPELESS - 1])
async def test_one_reply_that_can_be_read_is_enough_whenever_it_comes(tmp_path: Path, readable: int) -> None:
    label = f"{make_cell(index=readable).id}/again/1"
    made, requests = await ask_round(
        tmp_path, lambda request: GOOD if request.label == label else Reply("no JSON", "stop")
    )

    assert [readable] == [number for number, exemplar in enumerate(made) if exemplar.is_accepted]
    assert 4 * (MIN_HOPELESS - 1) + 2 == len(requests)


async def test_first_reply_stands_where_a_second_does_not_come(tmp_path: Path) -> None:
    plan = make_test_plan()
    rest: list[Reply | Exception] = [Reply("no JSON", "stop", cost_usd=0.01), RequestRefusedError("too long")]
    client = FakeClient(lambda _: rest.pop(0))
    gateway = ModelGateway(client, RepliesPlace(str(tmp_path)), HeardProgress(), RunBudget(1))
    async with gateway.keeping(plan.plan_id):
        [exemplar] = await generate_cell(plan, make_cell(), gateway, "English")

    assert ("unreadable", 0.01) == (exemplar.reason, exemplar.cost_usd)


async def test_refusal_is_an_answer(tmp_path: Path) -> None:
    plan = make_test_plan()
    client = FakeClient(lambda _: Reply("", REFUSED))
    gateway = ModelGateway(client, RepliesPlace(str(tmp_path)), HeardProgress(), RunBudget(1))
    async with gateway.keeping(plan.plan_id):
        await generate_cell(plan, make_cell(), gateway, "English")

    assert 1 == len(client.requests)


async def test_fallback_that_answered_is_named_in_the_row(tmp_path: Path) -> None:
    plan = make_test_plan()
    client = FakeClient(lambda _: replace(GOOD, model="openai/spare"))
    gateway = ModelGateway(client, RepliesPlace(str(tmp_path)), HeardProgress(), RunBudget(1))
    async with gateway.keeping(plan.plan_id):
        [exemplar] = await generate_cell(plan, make_cell(), gateway, "English")

    assert "openai/spare" == exemplar.synth_model


async def test_prompts_are_written_as_calls_end_in_the_order_of_the_cells(tmp_path: Path) -> None:
    written = 0

    class Counting(ModelGateway):
        async def complete(self, request: Request) -> Reply:
            nonlocal written
            written += 1
            return await super().complete(request)

    def answer(_: Request) -> Reply:
        ahead.append(written - len(client.requests))
        return GOOD

    ahead = list[int]()
    plan, cells = make_test_plan(), [make_cell(index=index) for index in range(60)]
    client = FakeClient(answer)
    gateway = Counting(client, RepliesPlace(str(tmp_path)), HeardProgress(), RunBudget(2))
    async with gateway.keeping(plan.plan_id):
        await gather_or_cancel(generate_cell(plan, cell, gateway, "English") for cell in cells)

    assert [cell.id for cell in cells] == [request.label for request in client.requests]
    assert max(ahead) <= 2 * CELLS_PER_CALL < 60 - 2


async def test_prompt_that_is_too_long_is_a_failed_cell_until_nothing_else_was_heard(tmp_path: Path) -> None:
    plan = make_test_plan()
    client = FakeClient(lambda _: ContextTooLongError("openai/test cannot take in so long a prompt"))
    gateway = ModelGateway(client, RepliesPlace(str(tmp_path)), HeardProgress(), RunBudget(1))
    async with gateway.keeping(plan.plan_id):
        made = [await generate_cell(plan, make_cell(index=index), gateway, "English") for index in range(7)]
        with pytest.raises(ProviderError, match=r"so long a prompt.*no call has been answered"):
            await generate_cell(plan, make_cell(index=7), gateway, "English")

    assert ["cell_failed"] * 7 == [exemplar.reason for [exemplar] in made]
