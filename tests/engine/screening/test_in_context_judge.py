"""The judge gives odds where a trait has seeds of both poles, and reads them from the likeliest tokens."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes.builders import make_exemplar, make_model, make_seeds, make_test_plan, make_trait
from fakes.client import CHAT, PLAIN, Answer, FakeClient, HeardProgress, make_fake_gateway

from engine.asking.plan import Plan
from engine.axis.reference_axis import ReferenceAxis
from engine.domain.model import Model, Seed
from engine.domain.samples import Exemplar
from engine.errors import CredentialsError, ProviderUnavailableError
from engine.llm.client.request import Endpoint, Reply, Request
from engine.llm.gateway.model_gateway import ModelGateway
from engine.llm.gateway.retrying import MAX_ATTEMPTS
from engine.screening.in_context_judge import (
    ASSUMED_AUC,
    FLOOR,
    TOP_TOKENS,
    InContextJudge,
    list_calibration_examples,
    read_odds,
)

MODEL = make_model(seeds=make_seeds())
TEXT = "The battery lies in the second drawer."


def unplaced(model: Model) -> Plan:
    return replace(make_test_plan(model), axes={})


def answer_odds(positive: float, negative: float) -> Answer:
    return lambda _: Reply(" good", "stop", odds={" good": positive, " bad": negative})


def make_gateway(folder: Path, answer: Answer, endpoint: Endpoint = PLAIN) -> tuple[ModelGateway, FakeClient]:
    client = FakeClient(answer, endpoint)
    return make_fake_gateway(folder, client), client


async def judge(gateway: ModelGateway, *exemplars: Exemplar, model: Model = MODEL) -> list[Exemplar]:
    async with gateway.record_replies("plan-1"):
        return await InContextJudge(unplaced(model), gateway).judge(exemplars, [trait.key for trait in model.traits])


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ({"good": -0.5, "bad": -2.0}, 1.5),
        ({" good": -4.0, "good": -1.0, " Good": -2.0, "BAD ": -1.5}, 0.5),
        ({"good": -0.5, "fine": -1.0}, -0.5 - FLOOR),
        ({"bad": -0.5}, FLOOR + 0.5),
        ({"good": -20.0, "bad": -1.0}, FLOOR + 1.0),
        ({"goods": -0.1, "badly": -9.0}, 0.0),
        ({}, 0.0),
    ],
)
def test_odds_are_read_from_the_likeliest_form_of_each_verdict(tokens: dict[str, float], expected: float) -> None:
    assert expected == read_odds(tokens)


async def test_standing_exemplars_get_their_odds_in_order_and_keep_them(tmp_path: Path) -> None:
    def answer(request: Request) -> Reply:
        return Reply("", "stop", odds={"good": -1.0, "bad": -2.0 if "first" in request.prompt.user else -4.0})

    gateway, client = make_gateway(tmp_path, answer)
    given = [make_exemplar("The first of them.", index=0), make_exemplar("The second of them.", "negative", 1)]

    assert [replace(given[0], odds=1.0), replace(given[1], odds=3.0)] == await judge(gateway, *given)
    asked = [(item.max_tokens, item.temperature, item.schema, item.logprobs) for item in client.requests]
    assert [(1, 0.0, None, TOP_TOKENS)] * 2 == asked
    again, client = make_gateway(tmp_path, lambda _: AssertionError("asked again"))
    assert ([1.0, 3.0], []) == ([item.odds for item in await judge(again, *given)], client.requests)


async def test_what_is_rejected_or_judged_or_of_a_trait_that_is_not_trusted_is_left_as_it_is(tmp_path: Path) -> None:
    gateway, client = make_gateway(tmp_path, answer_odds(-1.0, -2.0))
    left = [
        make_exemplar(TEXT, reason="too_short"),
        make_exemplar(None, reason="cell_failed"),
        make_exemplar(TEXT, odds=2.5),
        make_exemplar(TEXT, trait="tone"),
    ]

    assert left == await judge(gateway, *left)
    assert [] == client.requests


@pytest.mark.parametrize(
    ("seeds", "endpoint"), [((), PLAIN), (make_seeds()[:3], PLAIN), (make_seeds()[3:], PLAIN), (make_seeds(), CHAT)]
)
async def test_without_seeds_of_both_poles_or_odds_there_is_no_judge(
    tmp_path: Path, seeds: tuple[Seed, ...], endpoint: Endpoint
) -> None:
    model = make_model(seeds=seeds)
    gateway, client = make_gateway(tmp_path, answer_odds(-1.0, -2.0), endpoint)
    async with gateway.record_replies("plan-1"):
        assert {} == await InContextJudge(unplaced(model), gateway).measure_aucs(HeardProgress())
        if endpoint == PLAIN:
            assert [make_exemplar(TEXT)] == await judge(gateway, make_exemplar(TEXT), model=model)
    assert [] == client.requests


async def test_auc_counts_how_often_unseen_seeds_are_told_apart(tmp_path: Path) -> None:
    """A judge that is right but for one of six seeds: it is then above two of the three of the other pole."""
    wrong = MODEL.seeds_at("clarity", "positive")[0].text

    def answer(request: Request) -> Reply:
        shown, asked = request.prompt.user.rsplit("Text: ", 1)
        assert asked.removesuffix("\nVerdict:") not in shown
        good = any(seed.text in asked for seed in MODEL.seeds_at("clarity", "positive")) and wrong not in asked
        return Reply("", "stop", odds={"good": -1.0 if good else -3.0, "bad": -2.0})

    gateway, client = make_gateway(tmp_path, answer)
    async with gateway.record_replies("plan-1"):
        plan = unplaced(make_model(make_trait(), make_trait("tone"), seeds=make_seeds()))
        aucs = await InContextJudge(plan, gateway).measure_aucs(HeardProgress())
        placed = replace(plan, axes={"clarity": ReferenceAxis("seeds", np.ones(2))})
        assert {} == await InContextJudge(placed, gateway).measure_aucs(HeardProgress())

    assert {"clarity": pytest.approx(2 / 3 + 1 / 6, abs=1e-4)} == aucs
    assert 6 == len(client.requests)


async def test_judge_with_all_the_seeds_that_it_can_be_shown_is_not_measured(tmp_path: Path) -> None:
    seeds = tuple(Seed("clarity", f"A text of number {index}.", float(index % 2), str(index)) for index in range(20))
    gateway, client = make_gateway(tmp_path, answer_odds(-1.0, -2.0))
    model = make_model(seeds=seeds)
    async with gateway.record_replies("plan-1"):
        assert {"clarity": ASSUMED_AUC} == await InContextJudge(unplaced(model), gateway).measure_aucs(HeardProgress())
    assert [] == client.requests
    known = (model, make_model(seeds=seeds[1:]), MODEL)
    assert [0, 19, len(MODEL.seeds)] == [len(list_calibration_examples(each, "clarity")) for each in known]


async def test_exemplar_without_an_answer_is_a_failed_cell_and_a_refused_key_an_error(tmp_path: Path) -> None:
    def answer(request: Request) -> Reply | Exception:
        if "mute" in request.prompt.user:
            return ProviderUnavailableError("embedded/test does not answer", 0.0)
        return Reply("", "stop", odds={"good": -1.0, "bad": -2.0})

    gateway, client = make_gateway(tmp_path, answer)
    good, bad = await judge(gateway, make_exemplar(TEXT, index=0), make_exemplar("The mute one of them.", index=1))

    assert (None, 1.0) == (good.reason, good.odds)
    assert ("cell_failed", None) == (bad.reason, bad.odds)
    assert "the judge did not answer: embedded/test does not answer" == bad.detail
    assert 1 + MAX_ATTEMPTS == len(client.requests)
    refused, _ = make_gateway(tmp_path / "refused", lambda _: CredentialsError("no key"))
    with pytest.raises(CredentialsError, match="no key"):
        await judge(refused, make_exemplar(TEXT))
