"""Applies an author's rules of rows to a round's candidates; what runs them is handed over, since it is the gate's."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from engine.domain.samples import Exemplar, Reason

# A rule that rejects such a share of so many candidates that passed everything else ends the run.
HOPELESS_SHARE, HOPELESS_CANDIDATES = 0.9, 20
QUOTED = 3

# Holds candidates against the rules of a model's author: the first rule that each breaks, by the candidate's key.
OwnRules = Callable[[Sequence[Exemplar]], Awaitable[Mapping[str, str]]]


@dataclass(frozen=True, slots=True)
class HopelessRule:
    """A rule or question of the author's by which nearly everything is rejected, and some of these texts."""

    reason: Reason
    rule: str
    rejected: int
    candidates: int
    texts: tuple[str, ...]


class OwnTally:
    """Counts over a run the texts that came to the author's rules and questions, and those that each has rejected."""

    def __init__(self) -> None:
        self._came = Counter[Reason]()
        self._rejected: dict[tuple[Reason, str], list[str]] = {}

    def add(self, reason: Reason, exemplars: Iterable[Exemplar]) -> None:
        """Adds exemplars as they come from the rules or questions, whose reason this is."""
        for item in exemplars:
            self._came[reason] += item.is_accepted or item.reason == reason
            if item.reason == reason:
                self._rejected.setdefault((reason, item.detail), []).append(item.text or "")

    def find_hopeless(self) -> HopelessRule | None:
        """Finds what has rejected nine of ten texts, of twenty or more that came to it."""
        for (reason, rule), texts in self._rejected.items():
            came = self._came[reason]
            if came >= HOPELESS_CANDIDATES and len(texts) >= HOPELESS_SHARE * came:
                return HopelessRule(reason, rule, len(texts), came, tuple(texts[:QUOTED]))
        return None


async def apply_own_rules(exemplars: Sequence[Exemplar], own_rules: OwnRules) -> list[Exemplar]:
    """Returns the exemplars in order, those that break a rule of the author's rejected.

    Raises:
        InputError: a rule cannot be run.
    """
    broken = await own_rules([item for item in exemplars if item.is_accepted])
    return [
        replace(item, reason="own_rule", detail=broken[item.key]) if item.key in broken else item for item in exemplars
    ]
