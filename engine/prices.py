"""Prices: what a model's tokens cost by the list that litellm bundles, read without importing litellm.

litellm itself prices the replies of a run by this list. Its import takes seconds (docs/decisions/000), the list 50 ms.
"""

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from engine.llm import Endpoint

PRICE_LIST = "model_prices_and_context_window_backup.json"


@dataclass(frozen=True, slots=True)
class Price:
    """USD for one token. ``cached_input_usd`` is for what the provider has read before; None where it names none."""

    input_usd: float
    output_usd: float
    cached_input_usd: float | None = None

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        """The list price of so many tokens in USD, none of them cached."""
        return tokens_in * self.input_usd + tokens_out * self.output_usd


def price_endpoint(endpoint: Endpoint) -> Price | None:
    """The price of an endpoint's tokens: nothing for a free one; None where no list price is known."""
    return Price(0.0, 0.0, 0.0) if endpoint.free else find_price(endpoint.model)


def find_price(model: str) -> Price | None:
    """The list price of a litellm model name; None where the list has none for both directions.

    The list names most models without their provider (``gpt-4.1``), some with it (``gemini/gemini-2.5-flash``).
    """
    prices = _read_prices()
    provider, _, bare = model.partition("/")
    entry = prices.get(model)
    if entry is None and bare in prices and _names_provider(str(prices[bare].get("litellm_provider")), provider):
        entry = prices[bare]
    if not entry or None in (entry.get("input_cost_per_token"), entry.get("output_cost_per_token")):
        return None
    return Price(
        float(entry["input_cost_per_token"]),
        float(entry["output_cost_per_token"]),
        entry.get("cache_read_input_token_cost"),
    )


def _names_provider(listed: str, provider: str) -> bool:
    """The list knows parts of some providers: ``bedrock_converse``, ``vertex_ai-language-models``."""
    return listed == provider or listed.startswith((f"{provider}_", f"{provider}-"))


@cache
def _read_prices() -> Mapping[str, Any]:
    spec = importlib.util.find_spec("litellm")
    folders = spec.submodule_search_locations if spec else None
    path = Path(folders[0]) / PRICE_LIST if folders else None
    if path is None or not path.is_file():
        return {}
    prices: dict[str, Any] = json.loads(path.read_bytes())
    return prices
