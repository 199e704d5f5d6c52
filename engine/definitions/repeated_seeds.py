"""Settles seeds that are there more than once: a doubled one counts once, contradicting ones not at all."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from engine.domain.model import Model, Seed, Skipped
from engine.text.words import drop_unseen, normalise

MIDDLE = 0.5
# More lines are counted, and not named one by one.
MOST_NAMED = 10


def settle_seeds(model: Model) -> Model:
    """Returns the model with each text of a trait at most once among its seeds; what is left out is ``skipped``.

    Seeds of one text and trait contradict each other if their qualities lie on both sides of the middle: nobody can say
    which is right, so they become ``contested``. Otherwise the first one counts. One text for two traits is two seeds.
    Texts are the same if their normal forms are, but on both sides of the middle only if case and punctuation are the
    same too, since these may be what the trait is about.
    """
    groups = _group(model.seeds)
    contested = [group for group in groups.values() if _contradict(group)]
    doubled = [group for group in groups.values() if len(group) > 1 and not _contradict(group)]
    if not contested and not doubled:
        return model
    return replace(
        model,
        seeds=tuple(group[0] for group in groups.values() if not _contradict(group)),
        contested=tuple(seed for group in contested for seed in group),
        skipped=(*model.skipped, *_name_first(_name_contested(contested)), *_name_first(_name_doubled(doubled))),
    )


def _group(seeds: Sequence[Seed]) -> dict[tuple[str, ...], list[Seed]]:
    """Groups the seeds of one trait and text, in the order of their first ones."""
    alike: dict[tuple[str, str], list[Seed]] = {}
    for seed in seeds:
        alike.setdefault((seed.trait, normalise(seed.text)), []).append(seed)
    groups: dict[tuple[str, ...], list[Seed]] = {}
    for seed in seeds:
        key: tuple[str, ...] = (seed.trait, normalise(seed.text))
        if _contradict(alike[seed.trait, key[1]]):
            key = (*key, drop_unseen(seed.text))
        groups.setdefault(key, []).append(seed)
    return groups


def _contradict(group: Sequence[Seed]) -> bool:
    qualities = [seed.quality for seed in group]
    return min(qualities) < MIDDLE < max(qualities)


def _name_contested(groups: Sequence[Sequence[Seed]]) -> Iterator[Skipped]:
    for group in groups:
        # A quality in the middle contradicts neither side.
        first, other = max(group, key=lambda seed: seed.quality), min(group, key=lambda seed: seed.quality)
        why = (
            f"the same text is at the other side in {_locate(other)} (quality {first.quality:g} here, "
            f"{other.quality:g} there), so neither is used"
        )
        yield Skipped(f"seed {_locate(first)} for {first.trait}", why)


def _name_doubled(groups: Sequence[Sequence[Seed]]) -> Iterator[Skipped]:
    for group in groups:
        for seed in group[1:]:
            why = f"the same text as {_locate(group[0])}, so it counts once, with the quality {group[0].quality:g}"
            yield Skipped(f"seed {_locate(seed)} for {seed.trait}", why)


def _name_first(skipped: Iterator[Skipped]) -> list[Skipped]:
    named = list(skipped)
    more = [Skipped(f"{len(named) - MOST_NAMED:,} more seeds", named[0].why)] if len(named) > MOST_NAMED else []
    return named[:MOST_NAMED] + more


def _locate(seed: Seed) -> str:
    return seed.place or repr(seed.text[:40])
