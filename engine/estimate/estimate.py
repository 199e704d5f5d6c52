"""Estimates the tokens and the cost at list prices of a run's calls: what is likely, and the most."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.asking.plan import Plan
from engine.estimate.call_kinds import CallKind, Spread, list_calls
from engine.llm.client.prices import add_costs
from engine.llm.client.request import Endpoint, Request
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
class Estimate:
    """What a run will need, known before it makes any call.

    ``amounts`` are those of ``kinds``, in their order. ``limit_usd`` is the run's limit on cost. ``kept`` is the number
    of replies that are kept already; None if that was not looked up. ``max_call_usd`` is the most that one call may
    cost; None if no price is known.
    """

    kinds: tuple[CallKind, ...]
    amounts: tuple[Spread[Amount], ...]
    total: Spread[Amount]
    max_call_usd: float | None
    limit_usd: float | None = None
    kept: int | None = None

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The endpoints of the models that are asked, each once."""
        return tuple({kind.endpoint.name: kind.endpoint for kind in self.kinds}.values())

    @property
    def unpriced(self) -> tuple[str, ...]:
        """The names of models without a known price; their cost is not counted."""
        return tuple(endpoint.name for endpoint in self.endpoints if endpoint.price is None)

    @property
    def is_free(self) -> bool:
        """Whether no call costs anything."""
        return not self.unpriced and self.total.most.cost_usd == 0

    @property
    def is_limit_too_low(self) -> bool:
        """Whether a single call may cost more than the run's limit, so that it would not be made."""
        return self.limit_usd is not None and self.max_call_usd is not None and self.max_call_usd > self.limit_usd


def estimate_plan(
    plan: Plan, endpoint: Endpoint, judge: Endpoint | None, limit_usd: float | None, kept: int | None = None
) -> Estimate:
    """Estimates a plan's run; ``judge`` is the endpoint of the chat judge, None if there are no votes."""
    kinds = list_calls(plan, endpoint, judge)
    amounts = tuple(estimate_kind(kind) for kind in kinds)
    bounds = [bound_call(example.request, kind.endpoint).usd for kind in kinds for example in kind.examples]
    return Estimate(
        kinds=kinds,
        amounts=amounts,
        total=add_amounts(amounts),
        max_call_usd=max((bound for bound in bounds if bound is not None), default=None),
        limit_usd=limit_usd,
        kept=kept,
    )


def estimate_kind(kind: CallKind) -> Spread[Amount]:
    """Estimates the calls of one kind; tokens are rounded up."""
    chars = sum(_count_chars(example.request) for example in kind.examples) / len(kind.examples)

    def price(calls: int, chars_per_token: float, reply_tokens: float) -> Amount:
        tokens_in, tokens_out = math.ceil(calls * chars / chars_per_token), math.ceil(calls * reply_tokens)
        found = kind.endpoint.price
        return Amount(calls, tokens_in, tokens_out, None if found is None else found.cost(tokens_in, tokens_out))

    # How much a model will think is not known beforehand: only the bound counts it, at its most.
    longest = kind.reply_tokens.most + _mean_thinking_tokens(kind)
    return Spread(
        price(kind.calls.likely, CHARS_PER_TOKEN.likely, kind.reply_tokens.likely),
        price(kind.calls.most, CHARS_PER_TOKEN.most, longest),
    )


def add_amounts(amounts: Sequence[Spread[Amount]]) -> Spread[Amount]:
    """Adds up the estimates of all kinds of calls; the cost is that of the kinds whose price is known."""
    return Spread(_add([amount.likely for amount in amounts]), _add([amount.most for amount in amounts]))


def estimate_rest(estimate: Estimate, spent_usd: float, kept: int, lacking: int) -> float | None:
    """Estimates what a run still needs in USD, including room for one more call, which a limit has to leave.

    Args:
        spent_usd: what the run has spent so far.
        kept: exemplars chosen so far. Each of the ``lacking`` ones is expected to cost as much as these did on average.
            While none is chosen, the rest is what is left of the likely estimate, or else of the bound.

    Returns:
        None if the run has spent more than the bound and chosen nothing.
    """
    if kept:
        rest = lacking * spent_usd / kept
    else:
        costs = [amount.cost_usd or 0.0 for amount in (estimate.total.likely, estimate.total.most)]
        left = [cost - spent_usd for cost in costs if cost > spent_usd]
        if not left:
            return None
        rest = left[0]
    return rest + (estimate.max_call_usd or 0.0)


def _add(amounts: Sequence[Amount]) -> Amount:
    return Amount(
        sum(amount.calls for amount in amounts),
        sum(amount.tokens_in for amount in amounts),
        sum(amount.tokens_out for amount in amounts),
        add_costs(*(amount.cost_usd for amount in amounts)),
    )


def _mean_thinking_tokens(kind: CallKind) -> float:
    """Returns the most tokens that a model may use for thinking, for a call on average."""
    requests = [example.request for example in kind.examples]
    tokens = sum(bound_call(request, kind.endpoint).tokens_out - request.max_tokens for request in requests)
    return tokens / len(requests)


def _count_chars(request: Request) -> int:
    """Counts the characters of all that a call sends, its schema included."""
    schema = json.dumps(request.schema) if request.schema else ""
    return sum(len(text) for _, text in request.prompt.messages) + len(schema)
