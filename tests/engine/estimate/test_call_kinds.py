"""The calls of a run, counted by hand for a small plan: quota 4, two candidates an exemplar, three top-up rounds."""

from dataclasses import replace

import pytest
from fakes.builders import make_level, make_model, make_seeds, make_test_plan, make_trait
from fakes.client import CHAT, PLAIN

from engine.domain.model import Seed
from engine.estimate.call_kinds import MEASURED_EXEMPLARS, CallKind, Spread, count_cells, list_calls, plan_examples
from engine.generation.requests import make_request, make_subjects_request
from engine.llm.request import Endpoint
from engine.planning.plan import Plan, RoundHistory, plan_round

TWO_DRAWS = Endpoint(name="embedded/test", model="test", identity="embedded:1", style="plain", draws=2)


def list_kinds(plan: Plan, endpoint: Endpoint = CHAT) -> dict[str, CallKind]:
    return {kind.name: kind for kind in list_calls(plan, endpoint)}


def test_cells_are_those_of_round_1_of_a_small_second_round_and_of_every_round_in_full() -> None:
    # 4 × 2; with a second round for one exemplar, 1 × 2 × 2; 4 × 2 × (1 + 2 + 3 + 4).
    assert Spread(8, 12, 80) == count_cells(make_test_plan(), draws=1)
    assert Spread(16, 24, 160) == count_cells(make_test_plan(), draws=2)


def test_without_top_up_rounds_round_1_is_all() -> None:
    assert Spread(8, 8, 8) == count_cells(make_test_plan(level=make_level(top_up_rounds=0)), draws=1)


def test_several_exemplars_a_call_make_fewer_cells() -> None:
    # ⌈8 ÷ 3⌉; ⌈4 ÷ 3⌉ more; ⌈8 ÷ 3⌉ + ⌈16 ÷ 3⌉ + ⌈24 ÷ 3⌉ + ⌈32 ÷ 3⌉.
    assert Spread(3, 5, 28) == count_cells(make_test_plan(level=make_level(exemplars_per_call=3)), draws=1)


def test_chat_model_is_asked_for_subjects_once_and_then_for_exemplars() -> None:
    kinds = list_kinds(make_test_plan(make_model(make_trait(), make_trait("safety", type="topic"))))

    assert [
        "subjects",
        "exemplars: clarity (spectrum), positive",
        "exemplars: clarity (spectrum), negative",
        "exemplars: safety (topic), positive",
        "exemplars: safety (topic), negative",
    ] == list(kinds)
    assert [Spread(1, 1, 1)] + 4 * [Spread(8, 12, 80)] == [kind.calls for kind in kinds.values()]


def test_chat_replies_take_from_the_shortest_texts_to_every_token_that_they_may() -> None:
    kinds = list_kinds(make_test_plan())

    # Half of the cells want 8 to 25 words, half 14 to 40: 11 × 1.25 + 16; 21.75 × 1.25 + 16; 2 × 25 and 2 × 40 + 400.
    assert Spread(29.75, 43.1875, 465) == kinds["exemplars: clarity (spectrum), positive"].reply_tokens
    # 74 subjects, forms and audiences of 4 and of 7 tokens; 74 × 16 + 400.
    assert Spread(296, 518, 1584) == kinds["subjects"].reply_tokens


def test_embedded_model_is_asked_for_no_subjects_and_judges_what_has_seeds_of_both_poles() -> None:
    model = make_model(make_trait(), make_trait("tone"), seeds=make_seeds())
    kinds = list_kinds(make_test_plan(model), TWO_DRAWS)

    assert [
        "exemplars: clarity (spectrum), positive",
        "exemplars: clarity (spectrum), negative",
        "exemplars: tone (spectrum), positive",
        "exemplars: tone (spectrum), negative",
        "judge: clarity",
    ] == list(kinds)
    assert Spread(16, 24, 160) == kinds["exemplars: tone (spectrum), negative"].calls
    # The quotas of both poles; every likely exemplar; every exemplar.
    assert Spread(8 + 6, 48 + 6, 320 + 6) == kinds["judge: clarity"].calls
    assert Spread(1, 1, 1) == kinds["judge: clarity"].reply_tokens
    assert "An authored text stands in for the exemplar." == kinds["judge: clarity"].examples[0].note


def test_chat_model_is_no_judge_by_odds() -> None:
    assert "judge: clarity" not in list_kinds(make_test_plan(make_model(seeds=make_seeds())), CHAT)


def test_calls_are_those_of_the_endpoint_that_is_asked() -> None:
    assert {PLAIN.name} == {
        kind.endpoint.name for kind in list_calls(make_test_plan(make_model(seeds=make_seeds())), PLAIN)
    }


@pytest.mark.parametrize("endpoint", [CHAT, TWO_DRAWS])
def test_examples_are_the_very_requests_of_round_1(endpoint: Endpoint) -> None:
    plan = make_test_plan(make_model(seeds=make_seeds()))
    cells = plan_round(plan, 1, plan.full_shortfall(), RoundHistory({}), endpoint.draws)
    own = sorted((cell for cell in cells if cell.pole == "negative"), key=lambda cell: cell.draw)
    sent = [make_request(plan, cell, endpoint.style, "English") for cell in own]
    kind = list_kinds(plan, endpoint)["exemplars: clarity (spectrum), negative"]

    assert sent == [example.request for example in kind.examples]


def test_subjects_are_asked_for_by_the_request_of_the_run() -> None:
    plan = make_test_plan()
    [example] = list_kinds(plan)["subjects"].examples

    assert make_subjects_request(plan) == example.request


def test_first_two_examples_are_of_two_scenarios_and_of_a_topic_one_is_a_near_miss() -> None:
    kinds = list_kinds(make_test_plan(make_model(make_trait(type="topic"))), TWO_DRAWS)
    titles = [example.title for example in kinds["exemplars: clarity (topic), negative"].examples]

    assert ["clarity/00000/negative/0, near miss", "clarity/00001/negative/0"] == titles[:2]
    assert 16 == len(titles)


def test_prompts_are_measured_on_a_part_of_a_large_quota() -> None:
    plan = make_test_plan(level=make_level(1_000_000))

    assert 2 * 2 * MEASURED_EXEMPLARS == len(plan_examples(plan, draws=1))
    assert Spread(2_000_000, 2_400_000, 20_000_000) == count_cells(plan, draws=1)


@pytest.mark.parametrize(("votes", "likely", "high"), [(1, 1, 1), (3, 2, 3)])
def test_chat_judge_votes_on_every_text_until_the_majority_is_settled(votes: int, likely: int, high: int) -> None:
    plan = make_test_plan(level=make_level(judge_votes=votes))
    judge = replace(CHAT, name="openai/judge")
    kind = {kind.name: kind for kind in list_calls(plan, CHAT, judge)}["votes: clarity"]
    cells = count_cells(plan, CHAT.draws)

    assert judge == kind.endpoint
    assert (8 * likely, cells.likely * 2 * likely, cells.high * 2 * high) == (
        kind.calls.low,
        kind.calls.likely,
        kind.calls.high,
    )
    assert "votes: clarity" not in count_kinds(plan)


def count_kinds(plan: Plan) -> list[str]:
    return [kind.name for kind in list_calls(plan, CHAT)]


def test_judge_with_few_seeds_is_asked_about_each_of_them() -> None:
    few, none = make_test_plan(make_model(seeds=make_seeds())), make_test_plan(make_model(seeds=make_many(20)))
    calls = [{kind.name: kind for kind in list_calls(plan, PLAIN)}["judge: clarity"].calls.low for plan in (few, none)]

    assert [8 + 6, 8] == calls


def make_many(count: int) -> tuple[Seed, ...]:
    return tuple(Seed("clarity", f"A text of number {index}.", float(index % 2), str(index)) for index in range(count))


def test_variations_are_counted_by_the_lengths_of_their_seeds() -> None:
    plan = replace(make_test_plan(make_model(seeds=make_seeds())), synth_type="diversify")

    assert count_cells(plan, 1) == list_kinds(plan)["exemplars: clarity (spectrum), positive"].calls
