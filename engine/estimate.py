"""The estimate: what the calls of a run come to in tokens and at list prices, by how the run may go."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.calls import OUTLOOKS, CallKind, Example, Spread

# Prompts of the catalogue have 4.2 to 4.7 characters a token by the tokenizers at hand (cl100k_base, o200k_base and
# Anthropic's old one); newer ones cut finer. Not every provider's tokenizer is to be had offline, so this is a ratio.
CHARS_PER_TOKEN = Spread(low=4.8, likely=4.4, high=3.6)


@dataclass(frozen=True, slots=True)
class Amount:
    """Calls, tokens and their list price in USD; None where a price is not known."""

    calls: int
    tokens_in: int
    tokens_out: int
    cost_usd: float | None


def estimate_kind(kind: CallKind) -> Spread[Amount]:
    """What the calls of one kind come to; tokens are rounded up."""
    price = kind.endpoint.price
    amounts = []
    for outlook in OUTLOOKS:
        calls = kind.calls.at(outlook)
        tokens_in = math.ceil(calls * _mean_chars(kind.examples) / CHARS_PER_TOKEN.at(outlook))
        tokens_out = math.ceil(calls * kind.reply_tokens.at(outlook))
        cost = None if price is None else price.cost(tokens_in, tokens_out)
        amounts.append(Amount(calls, tokens_in, tokens_out, cost))
    return Spread(*amounts)


def estimate_run(kinds: Sequence[CallKind]) -> Spread[Amount]:
    """What all calls come to together; the cost is None where that of one kind is."""
    each = [estimate_kind(kind) for kind in kinds]
    return Spread(*(_add([estimate.at(outlook) for estimate in each]) for outlook in OUTLOOKS))


def _add(amounts: Sequence[Amount]) -> Amount:
    costs = [amount.cost_usd for amount in amounts]
    known = [cost for cost in costs if cost is not None]
    return Amount(
        sum(amount.calls for amount in amounts),
        sum(amount.tokens_in for amount in amounts),
        sum(amount.tokens_out for amount in amounts),
        sum(known) if len(known) == len(costs) else None,
    )


def _mean_chars(examples: Sequence[Example]) -> float:
    """Characters of a prompt with the schema that goes with it, on the average."""
    return sum(_count_chars(example) for example in examples) / len(examples)


def _count_chars(example: Example) -> int:
    request = example.request
    schema = json.dumps(request.schema) if request.schema else ""
    return len(request.prompt.system or "") + len(request.prompt.user) + len(schema)
