"""Writes the sentences in which the log, the run page and the dry run present an estimate."""

from collections.abc import Sequence

from engine.errors import BudgetError, SharedBudgetError
from engine.estimate.call_kinds import Outlook
from engine.estimate.estimate import Estimate, estimate_rest
from engine.llm.client.prices import find_price
from engine.llm.client.request import Endpoint
from engine.text.formatting import count_noun, format_cost

ASSUMPTIONS: dict[Outlook, str] = {
    "low": "round 1 alone, short replies",
    "likely": "a second round for a tenth of the quota",
    "high": "every round in full, every reply at its limit",
}


def format_estimate(estimate: Estimate) -> str:
    """Formats an estimate in one line: calls, tokens and cost from low to high, the limit, and kept replies."""
    total = estimate.total
    calls = f"{_range(f'{total.low.calls:,}', f'{total.high.calls:,}')} calls, likely {total.likely.calls:,}"
    tokens_in = _range(_shorten(total.low.tokens_in), _shorten(total.high.tokens_in))
    tokens_out = _range(_shorten(total.low.tokens_out), _shorten(total.high.tokens_out))
    parts = [calls, f"{tokens_in} tokens in, {tokens_out} out", *_format_costs(estimate)]
    if estimate.kept:
        parts.append(f"{count_noun(estimate.kept, 'reply', 'replies')} kept already, which cost nothing more")
    return f"Estimate: {'; '.join(parts)}"


def explain_estimate(estimate: Estimate) -> tuple[str, ...]:
    """Writes a sentence for each price, one for models without a price, one for the limit and one for thinking."""
    sentences = [_describe_price(endpoint) for endpoint in estimate.endpoints if endpoint.price is not None]
    if estimate.unpriced:
        sentences.append(f"{name_unpriced(estimate.unpriced, begins=True)}.")
    if estimate.is_limit_too_low:
        sentences.append(f"{_describe_low_limit(estimate)}.")
    elif estimate.limit_usd is not None and not estimate.unpriced and not estimate.is_free:
        sentences.append(f"A run ends before it passes its limit of {format_cost(estimate.limit_usd)}.")
    thinking = [endpoint.name for endpoint in estimate.endpoints if endpoint.thinks]
    if thinking:
        sentences.append(
            f"What {' and '.join(thinking)} may think before an answer is billed like the answer: high counts all of "
            "it, low and likely count none."
        )
    return tuple(sentences)


def explain_budget(
    error: BudgetError, estimate: Estimate, spent_usd: float, kept: int = 0, lacking: int = 0
) -> BudgetError:
    """Adds to the error of a run that reached its limit what the rest of the run would need; see ``estimate_rest``.

    The error of a limit that is shared with other runs is returned unchanged, since their needs are not known.
    """
    if isinstance(error, SharedBudgetError):
        return error
    rest = estimate_rest(estimate, spent_usd, kept, lacking)
    if rest is None:
        return BudgetError(f"{error}. How much the rest would need is not known: nothing has been kept so far")
    limit = format_cost(spent_usd + rest)
    return BudgetError(f"{error}. The rest would need about {format_cost(rest)} more, a limit of {limit} in all")


def name_unpriced(names: Sequence[str], begins: bool = False) -> str:
    """Writes a clause that no price is known for some models; ``begins`` says that it begins a sentence."""
    said = f"{'No' if begins else 'no'} price is known for {', '.join(names)}"
    return f"{said}: {'its' if len(names) == 1 else 'their'} cost is not counted"


def _format_costs(estimate: Estimate) -> list[str]:
    if estimate.is_free:
        return ["it costs nothing"]
    low, likely, high = (amount.cost_usd for amount in (estimate.total.low, estimate.total.likely, estimate.total.high))
    parts = [] if likely is None else [f"{_range(format_cost(low), format_cost(high))}, likely {format_cost(likely)}"]
    if estimate.unpriced:
        parts.append(name_unpriced(estimate.unpriced))
    if estimate.is_limit_too_low:
        parts.append(_describe_low_limit(estimate))
    elif estimate.limit_usd is not None:
        parts.append(f"the limit is {format_cost(estimate.limit_usd)}")
    return parts


def _describe_low_limit(estimate: Estimate) -> str:
    limit, dearest = format_cost(estimate.limit_usd), format_cost(estimate.max_call_usd)
    return f"The limit of {limit} is too low for a single call, which may cost {dearest}"


def _describe_price(endpoint: Endpoint) -> str:
    price = endpoint.price
    assert price is not None
    if not price.input_usd and not price.output_usd:
        return f"{endpoint.name} costs nothing."
    million = [format_cost(usd * 1e6) for usd in (price.input_usd, price.output_usd)]
    whose = "List price" if price == find_price(endpoint.model) else "Price"
    return f"{whose} of {endpoint.name}: {million[0]} in and {million[1]} out for a million tokens."


def _range(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def _shorten(number: int) -> str:
    """Shortens a large number: “9,800”, “299 k”, “11.1 M”."""
    if number < 10_000:
        return f"{number:,}"
    return f"{number / 1e3:,.0f} k" if number < 1_000_000 else f"{number / 1e6:,.1f} M"
