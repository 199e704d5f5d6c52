"""Settles seeds that are there more than once: a doubled one counts once, contradicting ones not at all."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from engine.domain.model import Model, Seed, Skipped
from engine.text.formatting import join_words
from engine.text.words import drop_unseen, normalise

MIDDLE = 0.5
# More texts are counted, and not named one by one.
MOST_NAMED = 5


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
        skipped=(
            *model.skipped,
            *_skip(contested, "at both sides of its trait, so it is not used"),
            *_skip(doubled, "there more than once, so the first counts"),
        ),
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


def _skip(groups: Sequence[Sequence[Seed]], why: str) -> Iterator[Skipped]:
    """Yields a note for each text with the lines that it stands on, and one that counts the rest."""
    for group in groups[:MOST_NAMED]:
        places = join_words([f"{seed.place or repr(seed.text[:40])} (quality {seed.quality:g})" for seed in group])
        yield Skipped(f"seed for {group[0].trait}", f"the same text is {why}: {places}")
    if len(groups) > MOST_NAMED:
        yield Skipped(f"{len(groups) - MOST_NAMED:,} more seeds", f"each is {why}")
