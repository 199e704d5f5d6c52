"""Requests have room for what they ask for, and a seed of their own."""

from fakes.builders import make_cell, make_level, make_model, make_seeds, make_test_plan

from engine.asking.requests import make_chat_request, make_plain_request


def test_plain_seed_tells_cells_apart_and_is_the_same_again() -> None:
    plan = make_test_plan(make_model(seeds=make_seeds()))
    cells = [
        make_cell(pole, index, draw=draw) for pole in ("positive", "negative") for index in (0, 1) for draw in (0, 1)
    ]
    seeds = [make_plain_request(plan, cell).seed for cell in cells]

    assert 8 == len(set(seeds))
    assert seeds == [make_plain_request(plan, cell).seed for cell in cells]


def test_more_exemplars_a_call_and_longer_texts_get_more_tokens() -> None:
    one = make_chat_request(make_test_plan(), make_cell(), "English")
    five = make_chat_request(make_test_plan(level=make_level(exemplars_per_call=5)), make_cell(), "English")

    assert 2 * 25 * 4 == five.max_tokens - one.max_tokens
    assert "answer with 5 texts" in (five.prompt.system or "")
