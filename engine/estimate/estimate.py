"""The estimate: what the calls of a run come to in tokens and at list prices, by how the run may go."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.estimate.call_kinds import OUTLOOKS, CallKind, Example, Outlook, Spread, list_calls
from engine.gateway.budget import bound_call
from engine.llm.prices import add_costs
from engine.llm.request import Endpoint, Request
from engine.planning.plan import Plan

# Prompts of the catalogue have 4.2 to 4.7 characters a token by the tokenizers at hand (cl100k_base, o200k_base and
# Anthropic's old one); newer ones cut finer. Not every provider's tokenizer is to be had offline, so this is a ratio.
CHARS_PER_TOKEN = Spread(low=4.8, likely=4.4, high=3.6)


@dataclass(frozen=True, slots=True)
class Amount:
    """Calls, tokens and their price in USD: of those with a known one, None where there are none."""

    calls: int
    tokens_in: int
    tokens_out: int
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run comes to, known before it has asked anything.

    ``limit_usd`` is the run's own; ``kept`` how many of the replies are kept already, None where nobody has looked.
    ``max_call_usd`` is what one call may cost at most, None where no price is known.
    """

    kinds: tuple[CallKind, ...]
    amounts: tuple[Spread[Amount], ...]
    total: Spread[Amount]
    max_call_usd: float | None
    limit_usd: float | None = None
    kept: int | None = None

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The models that are asked, each once."""
        return tuple({kind.endpoint.name: kind.endpoint for kind in self.kinds}.values())

    @property
    def unpriced(self) -> tuple[str, ...]:
        """The models of which no price is known: their cost is not counted."""
        return tuple(endpoint.name for endpoint in self.endpoints if endpoint.price is None)

    @property
    def is_free(self) -> bool:
        """Whether nothing is paid for, whatever is asked."""
        return not self.unpriced and self.total.high.cost_usd == 0

    @property
    def is_limit_too_low(self) -> bool:
        """Whether one call may cost more than the whole run may: it would not be made."""
        return self.limit_usd is not None and self.max_call_usd is not None and self.max_call_usd > self.limit_usd


def estimate_plan(
    plan: Plan, endpoint: Endpoint, judge: Endpoint | None, limit_usd: float | None, kept: int | None = None
) -> Estimate:
    """The estimate of a plan's run; ``judge`` as for ``list_calls``."""
    kinds = list_calls(plan, endpoint, judge)
    bounds = [bound_call(example.request, kind.endpoint).usd for kind in kinds for example in kind.examples]
    return Estimate(
        kinds=kinds,
        amounts=tuple(estimate_kind(kind) for kind in kinds),
        total=estimate_run(kinds),
        max_call_usd=max((bound for bound in bounds if bound is not None), default=None),
        limit_usd=limit_usd,
        kept=kept,
    )


def estimate_kind(kind: CallKind) -> Spread[Amount]:
    """What the calls of one kind come to; tokens are rounded up."""
    price = kind.endpoint.price
    amounts = []
    for outlook in OUTLOOKS:
        calls = kind.calls.at(outlook)
        tokens_in = math.ceil(calls * _mean_chars(kind.examples) / CHARS_PER_TOKEN.at(outlook))
        tokens_out = math.ceil(calls * (kind.reply_tokens.at(outlook) + _count_thinking_tokens(kind, outlook)))
        cost = None if price is None else price.cost(tokens_in, tokens_out)
        amounts.append(Amount(calls, tokens_in, tokens_out, cost))
    return Spread(*amounts)


def estimate_run(kinds: Sequence[CallKind]) -> Spread[Amount]:
    """What all calls come to together; the cost is that of the kinds whose price is known."""
    each = [estimate_kind(kind) for kind in kinds]
    return Spread(*(_add([estimate.at(outlook) for estimate in each]) for outlook in OUTLOOKS))


def estimate_rest(estimate: Estimate, spent_usd: float, kept: int, lacking: int) -> float | None:
    """What a run needs in USD beyond what it has spent, with the room for one more call that a limit has to leave.

    Args:
        kept: exemplars chosen so far, at whose mean cost those that are ``lacking`` are reckoned. While there are none,
            it is what the estimate has left: of the likely amount, else of the high one.

    Returns:
        None where the run has spent more than any estimate and kept nothing.
    """
    if kept:
        rest = lacking * spent_usd / kept
    else:
        costs = [estimate.total.at(outlook).cost_usd or 0.0 for outlook in OUTLOOKS]
        left = [cost - spent_usd for cost in costs[1:] if cost > spent_usd]
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


def _count_thinking_tokens(kind: CallKind, outlook: Outlook) -> float:
    """Tokens that a model may think before it answers one call. How many it does think nobody knows beforehand."""
    if outlook != "high":
        return 0.0
    bounds = [bound_call(example.request, kind.endpoint).tokens_out for example in kind.examples]
    answers = [example.request.max_tokens for example in kind.examples]
    return (sum(bounds) - sum(answers)) / len(kind.examples)


def _mean_chars(examples: Sequence[Example]) -> float:
    """Characters of a prompt with the schema that goes with it, on the average."""
    return sum(len(_write_prompt(example.request)) for example in examples) / len(examples)


def _write_prompt(request: Request) -> str:
    """All that a call sends to be read, its schema too."""
    schema = json.dumps(request.schema) if request.schema else ""
    return f"{request.prompt.system or ''}{request.prompt.user}{schema}"
