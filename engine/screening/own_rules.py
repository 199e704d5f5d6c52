"""Count the rejections by an author's rules and questions. The caller passes the rules, which belong to the gate."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from engine.domain.samples import Exemplar, Reason

# A rule ends the run if it rejects this share of at least this many candidates that passed all earlier checks.
HOPELESS_SHARE, HOPELESS_CANDIDATES = 0.9, 20
QUOTED = 3

# Applies the rules of a model's author: returns the exemplars in order, and rejects those with a violation.
OwnRules = Callable[[Sequence[Exemplar]], Awaitable[list[Exemplar]]]


@dataclass(frozen=True, slots=True)
class HopelessRule:
    """A rule or question of the author that rejects nearly all candidates, with some rejected texts."""

    reason: Reason
    rule: str
    rejected: int
    candidates: int
    texts: tuple[str, ...]


class OwnTally:
    """Counts, over a run, of the candidates for the author's rules and questions, and of the rejections by each."""

    def __init__(self) -> None:
        self._candidates = Counter[Reason]()
        self._rejected: dict[tuple[Reason, str], list[str]] = {}

    def add(self, reason: Reason, exemplars: Iterable[Exemplar]) -> None:
        """Add exemplars after the rules or questions with this reason code were applied."""
        for item in exemplars:
            self._candidates[reason] += item.is_accepted or item.reason == reason
            if item.reason == reason:
                self._rejected.setdefault((reason, item.detail), []).append(item.text or "")

    def find_hopeless(self) -> HopelessRule | None:
        """Find a rule or question that rejected nine of ten candidates, out of twenty or more."""
        for (reason, rule), texts in self._rejected.items():
            count = self._candidates[reason]
            if count >= HOPELESS_CANDIDATES and len(texts) >= HOPELESS_SHARE * count:
                return HopelessRule(reason, rule, len(texts), count, tuple(texts[:QUOTED]))
        return None
