"""Applies an author's rules of rows to a round's candidates; what runs them is handed over, since it is the gate's."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from engine.domain.samples import OWN_REASONS, Exemplar, Reason

# A rule that rejects such a share of so many candidates that passed everything else ends the run.
HOPELESS_SHARE, HOPELESS_CANDIDATES = 0.9, 20
QUOTED = 3


class OwnRules(Protocol):
    """Holds candidates against the rules of the model's author."""

    async def __call__(self, candidates: Sequence[Exemplar]) -> Mapping[str, str]:
        """Returns the first rule that each candidate breaks, by the candidate's key.

        Raises:
            InputError: a rule cannot be run.
        """


@dataclass(frozen=True, slots=True)
class HopelessRule:
    """A rule or question of the author's by which nearly everything is rejected, and some of these texts."""

    reason: Reason
    rule: str
    rejected: int
    candidates: int
    texts: tuple[str, ...]


async def apply_own_rules(exemplars: Sequence[Exemplar], own_rules: OwnRules) -> list[Exemplar]:
    """Returns the exemplars in order, those that break a rule of the author's rejected."""
    broken = await own_rules([item for item in exemplars if item.is_accepted])
    return [
        replace(item, reason="own_rule", detail=broken[item.key]) if item.key in broken else item for item in exemplars
    ]


def find_hopeless_rule(exemplars: Sequence[Exemplar]) -> HopelessRule | None:
    """Finds what has rejected nine of ten candidates, of twenty or more, that passed everything but the author's."""
    rejected = [item for item in exemplars if item.reason in OWN_REASONS]
    candidates = len(rejected) + sum(item.is_accepted for item in exemplars)
    if candidates < HOPELESS_CANDIDATES:
        return None
    for (reason, rule), count in Counter((item.reason, item.detail) for item in rejected).most_common(1):
        if reason and count >= HOPELESS_SHARE * candidates:
            texts = [item.text or "" for item in rejected if item.detail == rule]
            return HopelessRule(reason, rule, count, candidates, tuple(texts[:QUOTED]))
    return None
