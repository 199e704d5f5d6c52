"""Finds what is amiss with authored samples: too few, doubled, in another language, on the other pole's side."""

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from engine.asking.prompts import PLAIN_SHOTS
from engine.authoring.hint import Examined, Hint
from engine.authoring.seed_sides import ORDINARY_MARGIN, find_wrong_sides, place_sides
from engine.axis.reference_axis import MIN_AUC, MIN_SEEDS_ALONE
from engine.axis.separation import measure_left_out
from engine.definitions.repeated_seeds import find_repeated
from engine.definitions.sources.ordinary import NOISE_PATH, read_ordinary
from engine.domain.language_tag import name_tag
from engine.domain.model import POLES, Pole, Seed, Trait
from engine.text.embedding import Embedder, Vectors
from engine.text.formatting import count_noun, join_words, shorten
from engine.text.language import MAX_CHARACTERS, MAX_TEXTS, find_other_language
from engine.text.near_duplicates import find_pairs

# So many seeds a pole are placed and compared, spread over the files: some seconds of the encoder.
MOST_PLACED = 300
SHOWN = 60
_NO_POLES = "without some at both poles the embedded model has no judge, and no manner to write in"
_ADVICE = "Six of each pole make it far better; a hosted model does without"


def list_seed_hints(examined: Examined, authored: Sequence[Seed], is_embedded: bool) -> Iterator[Hint]:
    """Lists the hints on seeds that need no encoder.

    Args:
        authored: all authored samples, repeated ones too.
        is_embedded: whether an embedded model would write.
    """
    yield from _find_other_languages(examined)
    if len(authored) > len(examined.model.seeds):
        yield from _find_repeated(authored)
    if is_embedded and not examined.model.seeds:
        yield Hint("few_seeds", examined.locate("sources"), f"it has no samples: {_NO_POLES}. {_ADVICE}")
    for index, trait in examined.walk_traits():
        if is_embedded and examined.model.seeds:
            yield from _find_few(examined, index, trait)
        yield from _find_near_duplicates(examined, trait)


def list_side_hints(examined: Examined, embedder: Embedder) -> Iterator[Hint]:
    """Lists the seeds that read as the other pole, and the traits whose seeds an encoder does not tell apart."""
    for index, trait in examined.walk_traits():
        drawn = {pole: draw_spread(examined.model.seeds_at(trait.key, pole), MOST_PLACED) for pole in POLES}
        if min(map(len, drawn.values())) < MIN_SEEDS_ALONE:
            continue
        seeds = [seed for pole in POLES for seed in drawn[pole]]
        positive = [pole == "positive" for pole in POLES for _ in drawn[pole]]
        vectors = embedder.embed([seed.text for seed in seeds])
        count = len(drawn["positive"])
        auc = measure_left_out(vectors[:count], vectors[count:])
        # Of a claim both poles speak of the same things, and an encoder sees manner and subject, not what is said.
        if auc is not None and auc < MIN_AUC and trait.type != "claim":
            yield Hint(
                "seeds_hardly_differ",
                examined.locate("traits", index),
                f"placed by one another, its samples have an AUC of {auc:.2f}, where chance has .50: the encoder does "
                "not tell its poles apart, and has no say in which texts are chosen. More samples may help, if these "
                "stand at the right poles",
                trait.key,
            )
        wrong = _list_wrong(vectors, positive, seeds)
        yield from (_name_wrong(trait, seeds[index], positive[index]) for index in wrong)


def draw_spread(seeds: Sequence[Seed], most: int) -> Sequence[Seed]:
    """Draws at most so many seeds, spread evenly over the files."""
    return seeds[:: max(1, -(-len(seeds) // most))]


def _list_wrong(vectors: Vectors, positive: Sequence[bool], seeds: Sequence[Seed]) -> list[int]:
    """Lists the seeds that read as the other pole, the farthest first; of ordinary texts less is asked."""
    found, sides = find_wrong_sides(vectors, positive), place_sides(vectors, positive)
    if sides is None:
        return []
    wrong = {index for index in range(len(seeds)) if found is not None and found.wrong[index]}
    wrong |= {index for index, seed in enumerate(seeds) if _is_ordinary(seed) and sides[index] < -ORDINARY_MARGIN}
    return sorted(wrong, key=lambda index: float(sides[index]))


def _name_wrong(trait: Trait, seed: Seed, is_positive: bool) -> Hint:
    own: Pole = "positive" if is_positive else "negative"
    other: Pole = "negative" if is_positive else "positive"
    said = f"{_show(seed)} is labelled {trait.label(own)!r}, and reads like those labelled {trait.label(other)!r}"
    if _is_ordinary(seed):
        said += f". Leave its subject out: `without: [{_find_subject(seed)}]`"
    return Hint("wrong_side", seed.place, said, trait.key)


def _find_repeated(authored: Sequence[Seed]) -> Iterator[Hint]:
    contested, doubled = find_repeated(authored)
    yield from map(_name_contested, contested)
    yield from (_name_doubled(group[0], other) for group in doubled for other in group[1:])


def _name_contested(group: Sequence[Seed]) -> Hint:
    first, other = max(group, key=lambda seed: seed.quality), min(group, key=lambda seed: seed.quality)
    said = (
        f"{_show(first)} has the quality {first.quality:g} here and {other.quality:g} in {other.place}, so neither is "
        "used. Take out the wrong one"
    )
    return Hint("contested_seed", first.place, said, first.trait)


def _name_doubled(first: Seed, seed: Seed) -> Hint:
    differs = f", with the quality {first.quality:g} and not {seed.quality:g}" if first.quality != seed.quality else ""
    said = f"{_show(seed)} stands in {first.place} already{differs}, so it counts once"
    return Hint("doubled_seed", seed.place, said, seed.trait)


def _is_ordinary(seed: Seed) -> bool:
    return seed.place.startswith(f"{NOISE_PATH}/")


def _find_subject(seed: Seed) -> str:
    """Finds the subject of an ordinary text."""
    code = PurePosixPath(seed.place.rpartition(":")[0]).stem
    return next(item.subject for item in read_ordinary(code) if item.text == seed.text)


def _find_few(examined: Examined, index: int, trait: Trait) -> Iterator[Hint]:
    counts = {pole: len(examined.model.seeds_at(trait.key, pole)) for pole in POLES}
    if not examined.has_few_seeds(trait):
        return
    few = join_words([f"{count_noun(counts[pole], 'sample')} labelled {trait.label(pole)!r}" for pole in POLES])
    why = _NO_POLES
    if min(counts.values()) > 0:
        why = (
            f"the embedded model is shown up to {PLAIN_SHOTS} of each, and from fewer than {MIN_SEEDS_ALONE} nothing "
            "tells at which pole a text lies"
        )
    said = f"it has {few}: {why}. {_ADVICE}"
    yield Hint("few_seeds", examined.locate("traits", index), said, trait.key)


def _find_near_duplicates(examined: Examined, trait: Trait) -> Iterator[Hint]:
    """Finds seeds of one pole that say nearly the same; at two poles they are a good pair."""
    for pole in POLES:
        seeds = draw_spread(examined.model.seeds_at(trait.key, pole), MOST_PLACED)
        for key, match in find_pairs((str(number), seed.text) for number, seed in enumerate(seeds)):
            seed, other = seeds[int(key)], seeds[int(match.key)]
            said = f"{_show(seed)} says nearly the same as {other.place}, so that the two teach little more than one"
            yield Hint("near_duplicate", seed.place, said, trait.key)


def _find_other_languages(examined: Examined) -> Iterator[Hint]:
    """Finds files whose samples are surely in another language than the model's texts are to be in."""
    files: dict[str, list[Seed]] = {}
    for seed in examined.model.seeds:
        files.setdefault(seed.place.rpartition(":")[0], []).append(seed)
    for seeds in files.values():
        shown = " ".join(seed.text[:MAX_CHARACTERS] for seed in draw_spread(seeds, MAX_TEXTS))
        if code := find_other_language(shown, examined.language.tag):
            found = code if code.endswith("script") else name_tag(code)
            said = (
                f"these samples are in {found}, and the texts are to be in {examined.language.name} "
                f"({examined.language.why})"
            )
            yield Hint("other_language", seeds[0].place, f"{said}. Say in `language` which it is")


def _show(seed: Seed) -> str:
    return repr(shorten(" ".join(seed.text.split()), SHOWN))
