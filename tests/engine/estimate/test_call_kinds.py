"""The calls of a run, counted by hand for a small plan: quota 4, two candidates an exemplar, three top-up rounds."""

from dataclasses import replace

import pytest
from fakes.builders import make_level, make_model, make_seeds, make_test_plan, make_trait
from fakes.client import CHAT, PLAIN

from engine.asking.cells import make_request, make_subjects_request
from engine.asking.plan import Plan, plan_round
from engine.definitions.effort import Level
from engine.domain.model import POLES, Seed
from engine.estimate.call_kinds import MEASURED_EXEMPLARS, CallKind, Spread, count_cells, list_calls
from engine.llm.client.request import Endpoint


def list_kinds(plan: Plan, endpoint: Endpoint = CHAT, judge: Endpoint | None = None) -> dict[str, CallKind]:
    return {kind.name: kind for kind in list_calls(plan, endpoint, judge)}


@pytest.mark.parametrize(
    ("level", "cells"),
    [
        # 4 × 2; with a second round for one exemplar, 1 × 2 × 2; 4 × 2 × (1 + 2 + 3 + 4).
        (make_level(), Spread(12, 80)),
        (make_level(top_up_rounds=0), Spread(8, 8)),
        # ⌈8 ÷ 3⌉; ⌈4 ÷ 3⌉ more; ⌈8 ÷ 3⌉ + ⌈16 ÷ 3⌉ + ⌈24 ÷ 3⌉ + ⌈32 ÷ 3⌉.
        (make_level(exemplars_per_call=3), Spread(5, 28)),
        (make_level(1_000_000), Spread(2_400_000, 20_000_000)),
    ],
)
def test_cells_are_those_of_two_rounds_or_all(level: Level, cells: Spread[int]) -> None:
    plan = make_test_plan(level=level)

    assert cells == count_cells(plan)
    assert all(len(kind.examples) <= 2 * MEASURED_EXEMPLARS for kind in list_calls(plan, CHAT))


def test_chat_model_is_asked_for_subjects_once_and_then_for_exemplars() -> None:
    plan = make_test_plan(make_model(make_trait(), make_trait("safety", type="topic"), seeds=make_seeds()))
    kinds = list_kinds(plan)
    subjects, clarity, *_ = kinds.values()

    assert [
        "subjects",
        "exemplars: clarity (spectrum), positive",
        "exemplars: clarity (spectrum), negative",
        "exemplars: safety (topic), positive",
        "exemplars: safety (topic), negative",
    ] == list(kinds)
    assert [Spread(1, 1)] + 4 * [Spread(12, 80)] == [kind.calls for kind in kinds.values()]
    assert [make_subjects_request(plan)] == [example.request for example in subjects.examples]
    # 74 subjects, forms and audiences of 7 tokens; 74 × 16 + 400.
    assert Spread(518, 1584) == subjects.reply_tokens
    # Half of the cells want 8 to 25 words, half 14 to 40: 21.75 × 1.25 + 16; 2 × 25 and 2 × 40 + 400.
    assert Spread(43.1875, 465) == clarity.reply_tokens


def test_embedded_model_is_asked_for_no_subjects_and_judges_what_has_seeds_of_both_poles() -> None:
    plan = make_test_plan(make_model(make_trait(), make_trait("tone"), seeds=make_seeds()))
    kinds = list_kinds(replace(plan, axes={}), PLAIN)
    *exemplars, judge = kinds
    assert exemplars == list(list_kinds(plan, PLAIN))
    judged = kinds["judge: clarity"]

    assert [f"exemplars: {key} (spectrum), {pole}" for key in ("clarity", "tone") for pole in POLES] == exemplars
    assert Spread(12, 80) == kinds["exemplars: tone (spectrum), negative"].calls
    # Every likely exemplar of both poles; every exemplar.
    assert (Spread(24 + 6, 160 + 6), Spread(1, 1)) == (judged.calls, judged.reply_tokens)
    assert ("judge: clarity", "An authored text stands in for the exemplar.") == (judge, judged.examples[0].note)


@pytest.mark.parametrize("endpoint", [CHAT, PLAIN])
def test_examples_are_the_very_requests_of_round_1(endpoint: Endpoint) -> None:
    plan = make_test_plan(make_model(seeds=make_seeds()))
    cells = plan_round(plan, 1, plan.quotas, near_misses=endpoint == CHAT)
    own = [cell for cell in cells if cell.pole == "negative"]
    sent = [make_request(plan, cell, endpoint) for cell in own]
    kind = list_kinds(plan, endpoint)["exemplars: clarity (spectrum), negative"]

    assert sent == [example.request for example in kind.examples]


@pytest.mark.parametrize(("votes", "calls"), [(1, Spread(24, 160)), (3, Spread(48, 480))])
def test_chat_judge_votes_on_every_text_until_the_majority_is_settled(votes: int, calls: Spread[int]) -> None:
    kinds = list_kinds(make_test_plan(level=make_level(judge_votes=votes)), CHAT, replace(CHAT, name="openai/judge"))

    assert calls == kinds["votes: clarity"].calls


def test_judge_with_few_seeds_is_asked_about_each_of_them() -> None:
    for each, calls in ((3, 24 + 6), (10, 24)):
        seeds = (Seed("clarity", f"A text of number {index}.", float(index < each)) for index in range(2 * each))

        assert calls == list_kinds(make_test_plan(make_model(seeds=(*seeds,))), PLAIN)["judge: clarity"].calls.likely
