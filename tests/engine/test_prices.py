"""Prices are those of litellm's own list, and a model that is not on it has none."""

from dataclasses import replace

import pytest
from fakes.client import CHAT

from engine.llm import _import_litellm
from engine.prices import Price, find_price, price_endpoint


@pytest.mark.parametrize(
    "name",
    [
        "openai/gpt-4.1-mini",
        "openai/gpt-4.1",
        "gpt-4.1",
        "anthropic/claude-sonnet-4-5",
        "gemini/gemini-2.5-flash",
        "vertex_ai/gemini-2.5-pro",
        "mistral/mistral-small-latest",
        "azure/gpt-4.1",
        "deepseek/deepseek-chat",
        "bedrock/anthropic.claude-haiku-4-5-20251001-v1:0",
    ],
)
def test_price_is_the_one_that_litellm_counts_by(name: str) -> None:
    info = _import_litellm().get_model_info(name)

    assert Price(
        info["input_cost_per_token"], info["output_cost_per_token"], info["cache_read_input_token_cost"]
    ) == find_price(name)


@pytest.mark.parametrize(
    "name", ["openai/my-model", "nobody/gpt-4.1", "anthropic/gpt-4.1", "", "openai/", "openai/text-embedding-9"]
)
def test_model_that_is_not_on_the_list_has_no_price(name: str) -> None:
    assert None is find_price(name)


def test_model_with_half_a_price_has_none() -> None:
    assert None is find_price("sample_spec/nothing")
    assert None is find_price("github_copilot/gpt-4o")


def test_free_endpoint_costs_nothing_and_another_its_list_price() -> None:
    assert 0.0 == price_endpoint(replace(CHAT, free=True)).cost(1000, 1000)  # type: ignore[union-attr]
    assert find_price("openai/gpt-4.1") == price_endpoint(replace(CHAT, model="openai/gpt-4.1"))
    assert None is price_endpoint(CHAT)


def test_cost_is_of_both_directions() -> None:
    assert 18.0 == Price(3e-6, 15e-6).cost(1_000_000, 1_000_000)
