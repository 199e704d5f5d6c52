"""Finds what is amiss in how a trait's poles are named: labels that say nothing, and what else tells them apart."""

from collections.abc import Iterator, Sequence

from engine.authoring.hint import Examined, Hint, HintKind
from engine.axis.labels import find_label_fault, has_negation, is_bare, is_negation
from engine.domain.model import POLES, Pole, Trait
from engine.text.words import normalise

# What is found: its kind, the field of the trait, and a message.
_Found = Iterator[tuple[HintKind, str, str]]


def list_pole_hints(examined: Examined) -> Iterator[Hint]:
    """Lists the hints on descriptions, labels and paraphrases, trait by trait."""
    for index, trait in examined.walk_traits():
        found = [
            *_find_no_description(trait),
            # Of a weak label the missing paraphrase is told already.
            *(list(_find_weak_labels(trait, examined.has_few_seeds(trait))) or _find_weak_paraphrases(trait, examined)),
        ]
        for kind, field, message in found:
            yield Hint(kind, examined.locate("traits", index, field), message, trait.key)


def _find_no_description(trait: Trait) -> _Found:
    if not trait.description.strip():
        said = (
            "it has no description, the field that matters most: say what is asked of a text, and what does not count"
        )
        yield "no_description", "description", said


def _find_weak_labels(trait: Trait, has_few_seeds: bool) -> _Found:
    """Finds labels of a scale that say too little, where nothing else says what stands at the pole.

    The labels of the other types are ordinarily bare: "Confirmed", "Unrelated", "Typical".
    """
    if trait.type != "spectrum":
        return
    without = [pole for pole in POLES if not trait.paraphrase(pole)]
    labels = trait.positive_label, trait.negative_label
    is_empty = any(map(is_bare, labels)) or find_label_fault(*labels) == "bare"
    negating = [pole for pole in without if has_negation(trait.label(pole))]
    if negating and not is_empty and is_negation(*labels):
        pole = negating[0]
        yield (
            "weak_label",
            f"{pole}_label",
            f"{trait.label(pole)!r} says only what is missing. Name in {pole}_label what stands there instead, as "
            f"'Obscure' does beside 'Clear', or describe it in {pole}_paraphrase",
        )
    elif without and has_few_seeds and (is_empty or is_negation(*labels)):
        why = "say nothing by themselves" if is_empty else "differ by a negation, which no encoder sees"
        said = f"{labels[0]!r} and {labels[1]!r} {why}. Describe both poles in paraphrases, or give more samples"
        yield "bare_labels", "positive_label", said


def _find_weak_paraphrases(trait: Trait, examined: Examined) -> _Found:
    positive, negative = trait.positive_paraphrase, trait.negative_paraphrase
    if not positive or not negative:
        if (positive or negative) and trait.type != "topic" and examined.has_few_seeds(trait):
            given, lacking = ("positive", "negative") if positive else ("negative", "positive")
            said = f"{given}_paraphrase counts as a measure only beside a {lacking}_paraphrase. Add that"
            yield "one_sided_paraphrase", f"{given}_paraphrase", said
        return
    field = "negative_paraphrase"
    if set(map(normalise, positive)) & set(map(normalise, negative)):
        yield "same_paraphrase", field, "the same text paraphrases both poles"
    elif is_negation(" ".join(positive), " ".join(negative)):
        yield "weak_paraphrase", field, "the paraphrases differ by a negation alone. Say what a text at that pole does"
    elif _are_swapped(trait, examined):
        yield (
            "swapped_paraphrases",
            field,
            f"positive_paraphrase speaks of {trait.negative_label!r} and negative_paraphrase of "
            f"{trait.positive_label!r}: they seem to stand at each other's pole",
        )


def _are_swapped(trait: Trait, examined: Examined) -> bool:
    """Whether each pole's paraphrases have the other pole's label, and not their own."""
    own, said = ({pole: examined.stem(words) for pole, words in of.items()} for of in (_labels(trait), _phrases(trait)))
    only = {"positive": own["positive"] - own["negative"], "negative": own["negative"] - own["positive"]}
    if any(map(has_negation, (*trait.positive_paraphrase, *trait.negative_paraphrase))) or not all(only.values()):
        return False
    crossed = said["positive"] & only["negative"] and said["negative"] & only["positive"]
    return bool(crossed) and not any(said[pole] & only[pole] for pole in POLES)


def _labels(trait: Trait) -> dict[Pole, Sequence[str]]:
    return {pole: [trait.label(pole)] for pole in POLES}


def _phrases(trait: Trait) -> dict[Pole, Sequence[str]]:
    return {pole: trait.paraphrase(pole) for pole in POLES}
