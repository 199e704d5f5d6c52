"""A run begins with one call for what a chat model proposes; texts are asked for in the scenarios of its reply."""

import json
from pathlib import Path

import pytest
from fakes.builders import make_level
from fakes.client import CHAT, PLAIN, FakeClient, HeardProgress
from fakes.reply_tables import place_in

from engine.asking.cells import make_request
from engine.choosing.run_state import RunState
from engine.definitions.loader import load_model
from engine.definitions.scenario_packs import SCENARIOS_FOLDER, load_packs
from engine.llm.client.request import Endpoint, Reply, Request
from engine.llm.gateway.budget import RunBudget
from engine.llm.gateway.model_gateway import ModelGateway
from engine.run.job import Job
from engine.run.planning import begin_run
from engine.run.rounds import plan_next_round
from engine.text.embedding import SentenceEncoder

PRODUCTS = load_packs(SCENARIOS_FOLDER).packs["products"]
GENRES = str(Path(__file__).parents[2] / "genres")
REVIEWS = load_model(GENRES, "test.product-reviews")
PROPOSED = {
    "subjects": [f"a kettle of {liters} litres" for liters in range(1, 61)],
    "forms": ["a product review", "a star rating with a comment"],
    "audiences": ["a first-time buyer", "a returning customer"],
}


async def begin(folder: Path, said: dict[str, list[str]], endpoint: Endpoint = CHAT) -> tuple[RunState, list[Request]]:
    client = FakeClient(lambda _: Reply(json.dumps(said), "stop"), endpoint)
    gateway = ModelGateway(client, place_in(folder), HeardProgress(), RunBudget(1))
    state = await begin_run(Job(REVIEWS, "from_traits", make_level(4)), 0, gateway, SentenceEncoder())
    return state, client.requests


async def test_one_call_proposes_the_scenarios_in_which_texts_are_asked_for(tmp_path: Path) -> None:
    state, [request] = await begin(tmp_path, PROPOSED)
    _, cells = plan_next_round(state)

    assert "subjects" == request.label
    assert {"a product review", "a star rating with a comment"} == {cell.scenario.form for cell in cells}
    assert {"a first-time buyer", "a returning customer"} == {cell.scenario.audience for cell in cells}
    fields = state.plan.scenario_pool.fields
    assert set(PROPOSED["subjects"]) == {subject for field in fields for subject in field.tiers[0]} & {
        *PROPOSED["subjects"]
    }
    prompt = make_request(state.plan, cells[0], CHAT).prompt.user
    assert f"\nForm: {cells[0].scenario.form}\n" in prompt
    assert f"\nReader: {cells[0].scenario.audience}\n" in prompt


@pytest.mark.parametrize(("endpoint", "calls"), [(CHAT, 1), (PLAIN, 0)])
async def test_forms_of_the_nearest_pack_hold_where_none_are_proposed(
    tmp_path: Path, endpoint: Endpoint, calls: int
) -> None:
    state, requests = await begin(tmp_path, {"subjects": ["a kettle"]}, endpoint)

    assert calls == len(requests)
    assert set(PRODUCTS.forms) >= {cell.scenario.form for cell in plan_next_round(state)[1]}


async def test_proposals_are_an_input_of_the_plan(tmp_path: Path) -> None:
    proposals = (PROPOSED, PROPOSED, PROPOSED | {"forms": ["a product review"]})
    one, same, other = [(await begin(tmp_path / str(n), said))[0].plan.plan_id for n, said in enumerate(proposals)]

    assert one == same != other
