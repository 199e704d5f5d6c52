"""Look up token prices in the list that litellm bundles, without importing litellm.

Importing litellm takes seconds (docs/decisions/000-measured.md), reading its list 50 ms.
"""

import importlib.util
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

PRICE_LIST = "model_prices_and_context_window_backup.json"
# As in litellm's is_decisions_model_mode (1.110).
DECISION_MODES = ("decisions", "evaluation")
# Suffixes of separate prices for decisions (litellm's decisions_pricing) and for batches.
DECISION_RATES, BATCH_RATES = "_decisions", "_batches"


@dataclass(frozen=True, slots=True)
class Price:
    """Price in USD for one token; ``call_usd`` is added for each call.

    ``cached_input_usd`` is the price of a prompt token read from the provider's cache, ``written_input_usd`` that of a
    token written to it. Each is None if the list has no such price; the token then costs ``input_usd``.
    """

    input_usd: float
    output_usd: float
    cached_input_usd: float | None = None
    written_input_usd: float | None = None
    call_usd: float = 0.0

    @property
    def is_by_call(self) -> bool:
        """Return whether calls have a price and tokens are free."""
        return self.call_usd > 0 and not self.input_usd and not self.output_usd

    def cost(self, tokens_in: int, tokens_out: int, cached: int = 0, written: int = 0, calls: int = 1) -> float:
        """Return the list price of tokens and calls in USD; ``cached`` and ``written`` are part of ``tokens_in``."""
        read = self.input_usd if self.cached_input_usd is None else self.cached_input_usd
        kept = self.input_usd if self.written_input_usd is None else self.written_input_usd
        plain = max(0, tokens_in - cached - written)
        tokens = plain * self.input_usd + cached * read + written * kept + tokens_out * self.output_usd
        return tokens + calls * self.call_usd

    def bound_cost(self, most_in: int, most_out: int) -> float:
        """Return the maximum cost in USD of a call with at most so many tokens, for any cached part of its prompt."""
        dearest = max(self.input_usd, self.cached_input_usd or 0.0, self.written_input_usd or 0.0)
        return most_in * dearest + most_out * self.output_usd + self.call_usd


FREE = Price(0.0, 0.0, 0.0, 0.0)


def parse_price(text: str) -> Price:
    """Parse a price setting: USD for a million tokens in and out (``0.40/1.60``), or for a call (``0.001/query``)."""
    first, _, second = text.partition("/")
    if second == "query":
        return Price(0.0, 0.0, call_usd=float(first))
    return Price(float(first) / 1e6, float(second) / 1e6)


def find_price(model: str, decides: bool = False, batched: bool = False) -> Price | None:
    """Return the list price of a litellm model name; None unless the list has a price for both input and output.

    The list names most models without their provider (``gpt-4.1``), some with it (``gemini/gemini-2.5-flash``).

    Args:
        decides: whether it is called for decisions, which may have separate rates, and a price for each call.
        batched: whether calls go in batches; they have the full price if the list has no batch price.
    """
    entry = _find_entry(model)
    if entry and (decides or batched):
        rates = DECISION_RATES if decides else BATCH_RATES
        special = {name.removesuffix(rates): rate for name, rate in entry.items() if name.endswith(rates)}
        entry = {**entry, **special}
    if not entry or None in (entry.get("input_cost_per_token"), entry.get("output_cost_per_token")):
        return None
    outputs = (entry["output_cost_per_token"], entry.get("output_cost_per_reasoning_token") or 0.0)
    return Price(
        float(entry["input_cost_per_token"]),
        float(max(outputs)),
        entry.get("cache_read_input_token_cost"),
        # 0 here means that writing to the cache costs no more than the input price.
        entry.get("cache_creation_input_token_cost") or None,
        float(entry.get("input_cost_per_query") or 0.0) if decides else 0.0,
    )


def is_decision_model(model: str) -> bool:
    """Return whether a litellm model makes decisions instead of chatting, by the list."""
    return (_find_entry(model) or {}).get("mode") in DECISION_MODES


def find_provider(model: str) -> str:
    """Return the provider in a litellm model name or, without one, in the list; empty if both lack it."""
    provider, slash, _ = model.partition("/")
    return provider if slash else str((_find_entry(model) or {}).get("litellm_provider") or "")


def is_responses_model(model: str) -> bool:
    """Return whether the list names OpenAI's Responses API, not chat completions, for a litellm model."""
    return (_find_entry(model) or {}).get("mode") == "responses"


def may_think(model: str) -> bool:
    """Return whether a litellm model supports reasoning, by the same list that litellm itself uses."""
    return bool((_find_entry(model) or {}).get("supports_reasoning"))


def add_costs(*costs: float | None) -> float | None:
    """Return the sum of the known costs; None if no cost is known."""
    known = [cost for cost in costs if cost is not None]
    return math.fsum(known) if known else None


def _find_entry(model: str) -> Mapping[str, Any] | None:
    prices = _read_prices()
    provider, _, bare = model.partition("/")
    entry: Mapping[str, Any] | None = prices.get(model)
    if entry is None and bare in prices:
        # The provider or a part of it, such as ``bedrock_converse`` for ``bedrock``.
        listed = str(prices[bare].get("litellm_provider"))
        if listed == provider or listed.startswith((f"{provider}_", f"{provider}-")):
            entry = prices[bare]
    return entry


@cache
def _read_prices() -> Mapping[str, Any]:
    spec = importlib.util.find_spec("litellm")
    folders = spec.submodule_search_locations if spec else None
    path = Path(folders[0]) / PRICE_LIST if folders else None
    if path is None or not path.is_file():
        return {}
    prices: dict[str, Any] = json.loads(path.read_bytes())
    return prices
