"""Estimates the tokens and the cost at list prices of a run's calls: what is likely, and the most."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from engine.estimate.call_kinds import CallKind, Spread
from engine.llm.client.prices import Price, add_costs
from engine.llm.client.request import Request
from engine.llm.gateway.budget import bound_call

# The catalogue's prompts have 4.2 to 4.7 characters per token by the tokenizers at hand (cl100k_base, o200k_base and
# Anthropic's old one); newer ones make more tokens. Not every provider's tokenizer is available offline, so this is a
# ratio.
CHARS_PER_TOKEN = Spread(likely=4.4, most=3.6)


@dataclass(frozen=True, slots=True)
class Amount:
    """Calls, tokens and cost. ``cost_usd`` is that of calls with a known price; None if there are no such calls."""

    calls: int
    tokens_in: int
    tokens_out: int
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class PlannedCalls:
    """The calls of one kind to one model, with their tokens and cost: likely, and at most."""

    kind: str
    model: str
    likely: Amount
    most: Amount


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will need, known before it makes any call.

    Args:
        prices: of the models that are asked, by name; the cost of one without a known price is not counted.
        max_call_usd: the most that one call may cost; None if no price is known.
        limit_usd: the run's limit on cost; None for none.
        kept: the number of replies that are kept already; None if that was not looked up.
    """

    calls: tuple[PlannedCalls, ...]
    total: Spread[Amount]
    prices: Mapping[str, Price | None] = field(default_factory=dict)
    max_call_usd: float | None = None
    limit_usd: float | None = None
    kept: int | None = None

    @property
    def unpriced(self) -> tuple[str, ...]:
        """The names of models without a known price."""
        return tuple(name for name, price in self.prices.items() if price is None)

    @property
    def is_free(self) -> bool:
        """Whether no call costs anything."""
        return not self.unpriced and self.total.most.cost_usd == 0


def estimate_calls(kinds: Sequence[CallKind], limit_usd: float | None = None, kept: int | None = None) -> Estimate:
    """Estimates the calls of a run, as ``list_calls`` lists them."""
    amounts = [_estimate_kind(kind) for kind in kinds]
    bounds = [bound_call(example.request, kind.endpoint).usd for kind in kinds for example in kind.examples]
    return Estimate(
        calls=tuple(
            PlannedCalls(kind.name, kind.endpoint.name, amount.likely, amount.most)
            for kind, amount in zip(kinds, amounts, strict=True)
        ),
        total=Spread(_add([amount.likely for amount in amounts]), _add([amount.most for amount in amounts])),
        prices={kind.endpoint.name: kind.endpoint.price for kind in kinds},
        max_call_usd=max((bound for bound in bounds if bound is not None), default=None),
        limit_usd=limit_usd,
        kept=kept,
    )


def _estimate_kind(kind: CallKind) -> Spread[Amount]:
    """Estimates the calls of one kind; tokens are rounded up."""
    chars = sum(_count_chars(example.request) for example in kind.examples) / len(kind.examples)

    def price(calls: int, chars_per_token: float, reply_tokens: float) -> Amount:
        tokens_in, tokens_out = math.ceil(calls * chars / chars_per_token), math.ceil(calls * reply_tokens)
        found = kind.endpoint.price
        return Amount(calls, tokens_in, tokens_out, None if found is None else found.cost(tokens_in, tokens_out))

    # How much a model will think is not known beforehand: only the bound counts it, at its most.
    bounds = [bound_call(example.request, kind.endpoint) for example in kind.examples]
    thoughts = sum(
        bound.tokens_out - example.request.max_tokens for bound, example in zip(bounds, kind.examples, strict=True)
    )
    longest = kind.reply_tokens.most + thoughts / len(bounds)
    return Spread(
        price(kind.calls.likely, CHARS_PER_TOKEN.likely, kind.reply_tokens.likely),
        price(kind.calls.most, CHARS_PER_TOKEN.most, longest),
    )


def _add(amounts: Sequence[Amount]) -> Amount:
    return Amount(
        sum(amount.calls for amount in amounts),
        sum(amount.tokens_in for amount in amounts),
        sum(amount.tokens_out for amount in amounts),
        add_costs(*(amount.cost_usd for amount in amounts)),
    )


def _count_chars(request: Request) -> int:
    """Counts the characters of all that a call sends, its schema included."""
    schema = json.dumps(request.schema) if request.schema else ""
    return sum(len(text) for _, text in request.prompt.messages) + len(schema)
