"""Prices come from litellm's list, and a model that is not on it has none."""

import pytest

from engine.llm.client.litellm_client import import_litellm
from engine.llm.client.prices import FREE, Price, add_costs, find_price, parse_price


@pytest.mark.parametrize(
    "name", ["openai/gpt-4.1", "gemini/gemini-2.5-flash", "bedrock/anthropic.claude-haiku-4-5-20251001-v1:0"]
)
def test_price_is_the_one_that_litellm_counts_by(name: str) -> None:
    info = import_litellm().get_model_info(name)

    assert Price(
        info["input_cost_per_token"],
        info["output_cost_per_token"],
        info["cache_read_input_token_cost"],
        info["cache_creation_input_token_cost"] or None,
    ) == find_price(name)


# Models with another provider, without a name, of another kind, and with half a price.
@pytest.mark.parametrize("name", ["anthropic/gpt-4.1", "", "openai/text-embedding-9", "github_copilot/gpt-4o"])
def test_model_that_is_not_on_the_list_with_both_prices_has_none(name: str) -> None:
    assert find_price(name) is None


def test_price_of_the_settings_is_for_a_million_tokens() -> None:
    assert 2.0 == pytest.approx(parse_price("0.40/1.60").cost(1_000_000, 1_000_000))
    assert 0.0 == parse_price("0/0").bound_cost(1000, 1000)


def test_price_of_a_request_counts_once_a_call_whatever_its_tokens() -> None:
    price = parse_price("0.001/query")

    assert (0.001, 0.001) == (price.cost(1000, 1000), price.bound_cost(1000, 1000))
    assert 0.02 == pytest.approx(price.cost(5000, 0, calls=20))


def test_cached_and_written_tokens_have_prices_of_their_own_and_the_dearest_bounds_a_call() -> None:
    price, plain = Price(10.0, 1.0, cached_input_usd=1.0, written_input_usd=12.5), Price(10.0, 1.0)

    assert 5 * 10 + 3 * 1 + 2 * 12.5 + 4 == price.cost(10, 4, cached=3, written=2)
    assert 10 * 10 + 4 == plain.cost(10, 4, cached=3, written=2)
    assert (10 * 12.5 + 4, 0.0) == (price.bound_cost(10, 4), FREE.bound_cost(10, 4))


@pytest.mark.parametrize(
    ("costs", "total"), [((), None), ((None,), None), ((None, 0.25), 0.25), ((0.1, 0.2, 0.3), 0.6), ((0.0, None), 0.0)]
)
def test_costs_that_are_not_known_are_not_added(costs: tuple[float | None, ...], total: float | None) -> None:
    assert total == add_costs(*costs)
