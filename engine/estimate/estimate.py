"""Estimate the tokens, the cost at list prices and the time of a run's calls, and explain them in sentences."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce

from engine.domain.progress import NO_CALLS, ExpectedCalls
from engine.errors import BudgetError, InputError, SharedBudgetError
from engine.estimate.call_kinds import CallKind, Spread
from engine.estimate.speeds import NO_SPEEDS, Speeds
from engine.llm.batches.account import find_account
from engine.llm.client.prices import Price, add_costs
from engine.llm.embedded.embedded_models import is_embedded
from engine.llm.gateway.budget import find_ceiling
from engine.text.formatting import count_noun, format_cost, format_seconds

# The catalogue's prompts have 4.2 to 4.7 characters per token with the tokenizers at hand (cl100k_base, o200k_base and
# Anthropic's old one). Newer tokenizers make more tokens, and not every provider's is available offline: hence a ratio.
CHARS_PER_TOKEN = Spread(likely=4.4, most=3.6)
# The steps check, write and report, and the rounds' work between calls, on two cores.
OTHER_SECONDS = 8.0
# Time of a model of a backfill on two cores, in addition to its calls; half of it on idle cores (docs/guides/operate).
MODEL_SECONDS = 1.0
TIMED = (
    "The time is from the first call on, by how long calls took in the last run, or by an embedded model's size before "
    "its first. What comes before it (start, load, plan) and other work of this machine come on top."
)
UNTIMED = "How long it takes is not known before the first run from here that asks these models to think as much."
ASSUMED = (
    "Likely is a second round for a tenth of the quota; at most, every round is full, and every reply at its limit, "
    "with all that a model may think before it."
)


@dataclass(frozen=True, slots=True)
class Amount:
    """Calls, tokens and cost. ``cost_usd`` covers the calls with a known price; None if no call has one."""

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
    """The estimated calls, tokens, cost and time of a run or of a backfill, before the first call.

    Args:
        calls: the calls of each kind; empty for a backfill.
        prices: the prices of the models, by name; the cost of a model without a known price is not counted.
        max_call_usd: the highest cost of one call; None if no price is known.
        limit_usd: the run's limit on cost; None if it has no limit.
        kept: the number of kept replies; None if it was not looked up.
        writing: the likely calls that write texts, and their time; ``judging``: the same for calls that judge texts.
        seconds: the likely time from the first call to the end of the run; None if it is not known.
        batched_usd: the cost if all calls go in batches; None if a model takes no batches, or has no price.
    """

    calls: tuple[PlannedCalls, ...]
    total: Spread[Amount]
    prices: Mapping[str, Price | None] = field(default_factory=dict)
    max_call_usd: float | None = None
    limit_usd: float | None = None
    kept: int | None = None
    writing: ExpectedCalls = NO_CALLS
    judging: ExpectedCalls = NO_CALLS
    seconds: float | None = None
    batched_usd: Spread[float] | None = None

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Return the names of models without a known price."""
        return tuple(name for name, price in self.prices.items() if price is None)

    @property
    def is_free(self) -> bool:
        """Return whether no call costs anything."""
        return not self.unpriced and self.total.most.cost_usd == 0


def estimate_calls(
    kinds: Sequence[CallKind],
    limit_usd: float | None = None,
    kept: int | None = None,
    speeds: Speeds = NO_SPEEDS,
) -> Estimate:
    """Estimate the calls of a run, as ``list_calls`` lists them."""
    calls = tuple(map(_estimate_kind, kinds))
    bounds = [find_ceiling(example.request, kind.endpoint).usd for kind in kinds for example in kind.examples]
    total = add_amounts(calls)
    writing, judging = (
        ExpectedCalls(sum(kind.calls.likely for kind in group), speeds.count_seconds(group))
        for group in ([kind for kind in kinds if kind.judges == judges] for judges in (False, True))
    )
    known = None if writing.seconds is None or judging.seconds is None else writing.seconds + judging.seconds
    left = max(0.0, 1 - (kept or 0) / max(1, total.likely.calls))
    return Estimate(
        calls=calls,
        total=total,
        prices={kind.endpoint.name: kind.endpoint.price for kind in kinds},
        max_call_usd=max((bound for bound in bounds if bound is not None), default=None),
        limit_usd=limit_usd,
        kept=kept,
        writing=writing,
        judging=judging,
        seconds=None if known is None else round(known * left + OTHER_SECONDS, 1),
        batched_usd=_price_batches(kinds) if kinds else None,
    )


def add_amounts(amounts: Sequence[Spread[Amount] | PlannedCalls]) -> Spread[Amount]:
    """Return the sum of amounts, over kinds of calls or over models; no calls and no cost if there are none."""

    def add(each: Sequence[Amount]) -> Amount:
        return Amount(
            sum(amount.calls for amount in each),
            sum(amount.tokens_in for amount in each),
            sum(amount.tokens_out for amount in each),
            add_costs(*(amount.cost_usd for amount in each)) if each else 0.0,
        )

    return Spread(add([amount.likely for amount in amounts]), add([amount.most for amount in amounts]))


def add_estimates(
    estimates: Sequence[Estimate], scale: float = 1.0, at_once: int = 1, requests_per_minute: float = math.inf
) -> Estimate:
    """Return the estimate of many runs.

    The time is unknown if that of a run is. An embedded model serves the runs one after another; a hosted one serves
    several at a time, within the rate limit that they share.

    Args:
        estimates: those of some of the runs.
        scale: the number of all runs for each of these.
        at_once: the number of runs at a time.
    """
    total, batched = add_amounts([each.total for each in estimates]), [each.batched_usd for each in estimates]
    prices = reduce(lambda known, each: {**known, **each.prices}, estimates, dict[str, Price | None]())
    seconds = None
    if estimates and all(each.seconds is not None for each in estimates):
        calls = sum(max((each.seconds or 0.0) - OTHER_SECONDS, 0.0) for each in estimates)
        # The seconds of each run include the rate limit, and stored replies reduce the calls.
        limited = min(calls, total.likely.calls * 60 / requests_per_minute)
        side_by_side = calls / (1 if all(map(is_embedded, prices)) else min(at_once, max(1, scale * len(estimates))))
        seconds = OTHER_SECONDS + scale * max(side_by_side, limited, MODEL_SECONDS * len(estimates))
    return Estimate(
        calls=(),
        total=Spread(_scale(total.likely, scale), _scale(total.most, scale)),
        prices=prices,
        kept=round(scale * sum(each.kept or 0 for each in estimates)),
        seconds=seconds,
        batched_usd=_add_spreads(batched, scale),
    )


def format_estimate(estimate: Estimate) -> str:
    """Format an estimate in one line: likely calls, tokens and cost with their bounds, the limit, and kept replies."""
    likely, most = estimate.total.likely, estimate.total.most
    tokens_in = _bound(_shorten(likely.tokens_in), "tokens in", _shorten(most.tokens_in))
    tokens_out = _bound(_shorten(likely.tokens_out), "out", _shorten(most.tokens_out))
    calls = _bound(f"{likely.calls:,}", "calls", f"{most.calls:,}")
    if estimate.seconds is not None:
        calls += f", about {format_seconds(estimate.seconds)}"
    parts = [calls, f"{tokens_in}, {tokens_out}", *_format_costs(estimate)]
    if estimate.kept:
        parts.append(f"{count_noun(estimate.kept, 'reply', 'replies')} kept already, which cost nothing more")
    return f"Estimate: {'; '.join(parts)}"


def explain_estimate(estimate: Estimate) -> tuple[str, ...]:
    """Return sentences on the time, on the cost in batches, on each price, on models without one and on the limit."""
    sentences = [UNTIMED if estimate.seconds is None else TIMED]
    if (batched := estimate.batched_usd) is not None and batched.most:
        cost = _bound(format_cost(batched.likely), "", format_cost(batched.most))
        sentences.append(f"With --batch=all it costs {cost} and takes a day for each round, and one for its votes.")
    sentences += [_describe_price(name, price) for name, price in estimate.prices.items() if price]
    if estimate.unpriced:
        sentences.append(f"{name_unpriced(estimate.unpriced, begins=True)}.")
    if estimate.limit_usd is not None and not estimate.unpriced and not estimate.is_free:
        sentences.append(f"A run ends before it passes its limit of {format_cost(estimate.limit_usd)}.")
    return tuple(sentences)


def explain_budget(
    error: BudgetError, estimate: Estimate, spent_usd: float, kept: int = 0, missing: int = 0
) -> BudgetError:
    """Return the error of a run that reached its limit, with the cost of the rest and room for one more call.

    The error of a limit that is shared with other runs is returned unchanged, since their needs are not known.

    Args:
        kept: exemplars chosen so far. Each of the ``missing`` exemplars is expected to cost as much as these did on
            average. While none is chosen, the rest is the remainder of the likely estimate, or else of the bound.
    """
    if isinstance(error, SharedBudgetError):
        return error
    expected = (estimate.total.likely.cost_usd or 0.0, estimate.total.most.cost_usd or 0.0)
    left = next((cost - spent_usd for cost in expected if cost > spent_usd), 0.0)
    rest = (missing * spent_usd / kept if kept else left) + (estimate.max_call_usd or 0.0)
    limit = format_cost(spent_usd + rest)
    return BudgetError(f"{error}. The rest would need about {format_cost(rest)} more, a limit of {limit} in all")


def name_unpriced(names: Sequence[str], begins: bool = False) -> str:
    """Return the clause that no price is known for some models; with ``begins`` it starts with a capital."""
    clause = f"{'No' if begins else 'no'} price is known for {', '.join(names)}"
    return f"{clause}: {'its' if len(names) == 1 else 'their'} cost is not counted"


def _scale(amount: Amount, scale: float) -> Amount:
    cost_usd = None if amount.cost_usd is None else scale * amount.cost_usd
    calls, tokens_in, tokens_out = (round(scale * n) for n in (amount.calls, amount.tokens_in, amount.tokens_out))
    return Amount(calls, tokens_in, tokens_out, cost_usd)


def _add_spreads(costs: Sequence[Spread[float] | None], scale: float) -> Spread[float] | None:
    known = [cost for cost in costs if cost is not None]
    if not known or len(known) < len(costs):
        return None
    return Spread(scale * sum(cost.likely for cost in known), scale * sum(cost.most for cost in known))


def _estimate_kind(kind: CallKind) -> PlannedCalls:
    # Everything that a call sends: the messages, and the schema or the questions.
    sent = [text for example in kind.examples for _, text in example.request.prompt.messages]
    sent += [json.dumps(example.request.form) for example in kind.examples if example.request.form]
    chars = sum(map(len, sent)) / len(kind.examples)

    def price(calls: int, chars_per_token: float, reply_tokens: float) -> Amount:
        tokens_in, tokens_out = math.ceil(calls * chars / chars_per_token), math.ceil(calls * reply_tokens)
        prices = kind.endpoint.price
        cost_usd = None if prices is None else prices.cost(tokens_in, tokens_out, calls=calls)
        return Amount(calls, tokens_in, tokens_out, cost_usd)

    # How much a model will think is not known beforehand: only the bound counts thinking, at its maximum.
    bounds = [find_ceiling(example.request, kind.endpoint) for example in kind.examples]
    thoughts = sum(
        bound.tokens_out - example.request.max_tokens for bound, example in zip(bounds, kind.examples, strict=True)
    )
    longest = kind.reply_tokens.most + thoughts / len(bounds)
    return PlannedCalls(
        kind.name,
        kind.endpoint.name,
        price(kind.calls.likely, CHARS_PER_TOKEN.likely, kind.reply_tokens.likely),
        price(kind.calls.most, CHARS_PER_TOKEN.most, longest),
    )


def _price_batches(kinds: Sequence[CallKind]) -> Spread[float] | None:
    """Return the cost of the calls in batches; None if a price is not known, or a model takes no batches."""
    try:
        endpoints = [replace(kind.endpoint, price=find_account(kind.endpoint).price) for kind in kinds]
    except InputError:
        return None
    priced = [_estimate_kind(replace(kind, endpoint=each)) for kind, each in zip(kinds, endpoints, strict=True)]
    total = add_amounts(priced)
    likely, most = total.likely.cost_usd, total.most.cost_usd
    return None if likely is None or most is None else Spread(likely, most)


def _format_costs(estimate: Estimate) -> list[str]:
    if estimate.is_free:
        return ["it costs nothing"]
    likely, most = estimate.total.likely.cost_usd, estimate.total.most.cost_usd
    parts = [] if likely is None else [_bound(format_cost(likely), "", format_cost(most))]
    if estimate.unpriced:
        parts.append(name_unpriced(estimate.unpriced))
    if estimate.limit_usd is not None:
        parts.append(f"the limit is {format_cost(estimate.limit_usd)}")
    return parts


def _describe_price(name: str, price: Price) -> str:
    if price.is_by_call:
        return f"Price of {name}: {format_cost(price.call_usd)} a request."
    if not price.input_usd and not price.output_usd:
        return f"{name} costs nothing."
    million = [format_cost(usd * 1e6) for usd in (price.input_usd, price.output_usd)]
    return f"Price of {name}: {million[0]} in and {million[1]} out for a million tokens."


def _bound(likely: str, unit: str, most: str) -> str:
    """Return a figure with its bound: “385 calls (at most 8,961)”."""
    return f"{likely} {unit}".rstrip() + ("" if likely == most else f" (at most {most})")


def _shorten(number: int) -> str:
    """Return a large number in short form: “9,800”, “299 k”, “11.1 M”."""
    if number < 10_000:
        return f"{number:,}"
    return f"{number / 1e3:,.0f} k" if number < 1_000_000 else f"{number / 1e6:,.1f} M"
