"""Finds where a brief contradicts the traits: what they judge among its non-goals, a pole's words at the wrong side.

By words alone, and only where nothing else is said: a brief may well speak of a pole's label for another reason.
"""

import re
from collections.abc import Iterator

from engine.authoring.hint import Examined, Hint
from engine.authoring.lexicon import CONJUNCTIONS, GENERIC
from engine.domain.model import POLES, Pole, Trait
from engine.quality.labels import has_negation
from engine.text.formatting import shorten
from engine.text.words import normalise, split_words

SHOWN = 60
_COMMA = re.compile("[,;、，；،]")


def list_brief_hints(examined: Examined) -> Iterator[Hint]:
    """Lists where the brief says another thing than the traits."""
    yield from _find_doubled(examined)
    for _, trait in examined.walk_traits():
        for index, text in enumerate(examined.model.brief.non_goals):
            if _names_alone(text, trait, examined):
                yield _hint(
                    examined,
                    ("non_goals", index),
                    f"{_show(text)} must not be judged by the brief, and is what the trait judges",
                    trait,
                )
        if trait.type == "spectrum":
            yield from _find_wrong_side(examined, trait, "exemplars_of_good", "negative", "what is good")
            yield from _find_wrong_side(
                examined, trait, "failure_modes", "positive", "failures, which negative texts get"
            )


def _find_doubled(examined: Examined) -> Iterator[Hint]:
    good = {normalise(text): text for text in examined.model.brief.exemplars_of_good}
    for index, text in enumerate(examined.model.brief.failure_modes):
        if normalise(text) in good:
            yield _hint(
                examined,
                ("failure_modes", index),
                f"{_show(text)} stands among exemplars_of_good too: it is one of them",
            )


def _names_alone(text: str, trait: Trait, examined: Examined) -> bool:
    """Whether a part of a non-goal names the trait and nothing else: "judging warmth" does, "judging the cast" not."""
    named = examined.stem((trait.name, trait.key.replace("_", " ").replace("-", " "), *map(trait.label, POLES)))
    return any(said and said <= named for said in (_strip(part, named, examined) for part in _split(text)))


def _find_wrong_side(examined: Examined, trait: Trait, field: str, pole: Pole, what: str) -> Iterator[Hint]:
    """Finds entries of a field that are made of one pole's words alone, its label among them."""
    other: Pole = "negative" if pole == "positive" else "positive"
    others = examined.stem((trait.label(other), *trait.paraphrase(other)))
    label = examined.stem((trait.label(pole),)) - others
    own = examined.stem((trait.label(pole), *trait.paraphrase(pole))) - others
    for index, text in enumerate(getattr(examined.model.brief, field)):
        said = _strip(text, own, examined)
        if said & label and said <= own and not has_negation(text):
            told = f"{_show(text)} stands under {field}, {what}, but describes the pole {trait.label(pole)!r}"
            yield _hint(examined, (field, index), told, trait)


def _split(text: str) -> list[str]:
    """Splits "rewarding length, tone or layout" into what it names."""
    parts: list[list[str]] = [[]]
    for word in _COMMA.sub(" , ", text).split():
        if word == "," or word.casefold() in CONJUNCTIONS:
            parts.append([])
        else:
            parts[-1].append(word)
    return [" ".join(part) for part in parts if part]


def _strip(text: str, kept: frozenset[str], examined: Examined) -> frozenset[str]:
    """Returns the stems of a text's content words but for those that speak of texts and of judging them."""
    words = [word for word in split_words(text) if word not in GENERIC or examined.stem([word]) & kept]
    return examined.stem([" ".join(words)])


def _hint(examined: Examined, path: tuple[str, int], message: str, trait: Trait | None = None) -> Hint:
    place = examined.locate("brief", *path)
    return Hint("brief_contradicts", place, f"brief.{path[0]}: {message}", trait.key if trait else None)


def _show(text: str) -> str:
    return repr(shorten(" ".join(text.split()), SHOWN))
