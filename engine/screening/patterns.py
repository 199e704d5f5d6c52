"""Finds talk about the task and gaps to be filled in by their form, and which forms hold for a model.

Each is meant to be precise in itself: talk is about the text that was asked for, a gap is one that nobody writes on
purpose. What is still ordinary in a model's own texts is no fault there (docs/decisions/004-screening.md).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from engine.domain.model import Model
from engine.domain.samples import Reason
from engine.settings import SHIPPED_ROOT

# More seeds tell no more about a genre: 2,000 texts and 45 patterns take a second.
MOST_SEEDS = 2000
_FILE = SHIPPED_ROOT / "data" / "patterns.yaml"
_PART = re.compile(r"<<(\w+)>>")
_QUOTED = re.compile(r"[\"“”„«‘`]([^\"“”»’`]{3,300})[\"“”»’`]")


@dataclass(frozen=True, slots=True)
class Pattern:
    """One fault by its form.

    ``genre`` finds in a model's own words that its texts have this form by their nature; None if no genre has.
    """

    name: str
    reason: Reason
    form: re.Pattern[str]
    genre: re.Pattern[str] | None = None


@dataclass(frozen=True, slots=True)
class WaivedPattern:
    """A pattern that does not hold for a model: ``found`` is what speaks for that, ``place`` where it stands.

    ``by_text`` says that a text of the model's own has the pattern, and not only its genre.
    """

    name: str
    found: str
    place: str
    by_text: bool


@cache
def load_patterns() -> tuple[Pattern, ...]:
    """Loads the patterns of ``data/patterns.yaml``, in the order in which they are looked for."""
    given = _read_file()
    parts: dict[str, str] = given["parts"]

    def compile_form(form: str) -> re.Pattern[str]:
        whole = "".join(form.split("\n"))
        while named := _PART.search(whole):
            whole = whole.replace(named[0], "".join(parts[named[1]].split("\n")))
        return re.compile(whole, re.IGNORECASE)

    return (
        *(
            Pattern(item["name"], item["reason"], compile_form(item["form"]), compile_form(item["genre"]))
            if "genre" in item
            else Pattern(item["name"], item["reason"], compile_form(item["form"]))
            for item in given["patterns"]
        ),
        *(
            Pattern(f"{word!r} before a text", "meta_talk", compile_form(rf"<<start>>(?:{word})\s?\d*[*_]*\s*[:：]"))
            for word in given["before_a_text"]
        ),
        *(
            Pattern(f"{label!r} before a text", "prompt_echo", compile_form(rf"^{label}\s*:"))
            for label in given["labels"]
        ),
    )


@cache
def load_particles() -> frozenset[str]:
    """Loads the words with which people begin and end texts whatever they are about, such as "yes"."""
    return frozenset(_read_file()["particles"].split())


def find_pattern(text: str, reason: Reason, waived: frozenset[str]) -> str | None:
    """Finds the first pattern of a reason in a text, but for the waived ones; returns what matched it."""
    found = (
        pattern.form.search(text)
        for pattern in load_patterns()
        if pattern.reason == reason and pattern.name not in waived
    )
    return next((match.group() for match in found if match), None)


def list_waived_patterns(model: Model, forms: Sequence[str] = ()) -> tuple[WaivedPattern, ...]:
    """Lists the patterns that do not hold for a model, since its own texts have them, or its genre by its nature.

    Own texts are the seeds of either pole, and what description, brief, traits and forms say or quote.

    Args:
        forms: the scenarios' forms.
    """
    words = tuple(_list_words(model, forms))
    own = [*((seed.text, seed.place) for seed in model.sample_seeds(MOST_SEEDS)), *_quote(words)]
    waived = []
    for pattern in load_patterns():
        if match := _find_first(pattern.form, own):
            waived.append(WaivedPattern(pattern.name, *match, by_text=True))
        elif pattern.genre and (match := _find_first(pattern.genre, words)):
            waived.append(WaivedPattern(pattern.name, *match, by_text=False))
    return tuple(waived)


@cache
def _read_file() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return read


def _find_first(form: re.Pattern[str], texts: Iterable[tuple[str, str]]) -> tuple[str, str] | None:
    return next(((hit.group(), place) for text, place in texts if (hit := form.search(text))), None)


def _quote(words: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yields the texts, and what is quoted in them as a text of its own."""
    for text, place in words:
        yield text, place
        for quoted in _QUOTED.findall(text):
            yield quoted, place


def _list_words(model: Model, forms: Sequence[str]) -> Iterator[tuple[str, str]]:
    brief = model.brief
    yield model.description, "the description"
    for text in (*brief.intent, *brief.domain, *brief.exemplars_of_good, *brief.failure_modes, *brief.edge_cases):
        yield text, "the brief"
    for trait in model.traits:
        for text in (trait.description, *trait.positive_paraphrase, *trait.negative_paraphrase):
            yield text, f"the trait {trait.key}"
    for form in forms:
        yield form, "the forms of its texts"
