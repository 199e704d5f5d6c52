"""Read labelled texts: turn the rows of a table into seeds (the platform's contract, section 3)."""

import math
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial

from engine.definitions.mistakes import find_near_spelling, format_names, format_value
from engine.definitions.sources.tables import CONTENT, SOURCE_URL, Entry, Table
from engine.domain.characters import INVALID, INVALID_CHARACTER, VALID
from engine.domain.definition import Trait
from engine.domain.model import Seed
from engine.errors import DefinitionError, Problem
from engine.text.words import fold_name

QUALITY_WORDS = {
    **dict.fromkeys(("positive", "good", "yes", "high", "strong", "excellent"), 1.0),
    **dict.fromkeys(("fair", "moderate", "mixed", "medium"), 0.5),
    **dict.fromkeys(("poor", "no", "low", "weak", "bad", "negative"), 0.0),
}
# What else to do if no field has the text, as the end of a message.
OTHER_FIELD = ", or in model.yaml `mapping: {{{}: content}}`"
# Trait of each field. Labels of a field with None are ignored: its trait is already reported as unknown.
Labels = Mapping[str, Trait | None]


@dataclass(frozen=True, slots=True)
class Line:
    """Number, seeds and mistakes of a line that is not blank; a row in CSV, a paragraph in a text file.

    A paragraph may have neither seeds nor mistakes, since a heading is no sample.
    """

    number: int
    seeds: tuple[Seed, ...] = ()
    problems: tuple[Problem, ...] = ()


def walk_labelled(
    table: Table, mapping: Labels, start: int = 1, *, text_field: str = CONTENT, needs_label: bool = True
) -> Generator[Line, None, None]:
    """Yield the lines of a table from line number ``start``.

    Args:
        text_field: the field that holds the text.
        needs_label: whether a line without a label is a mistake. If not, it has neither seeds nor mistakes.

    Raises:
        DefinitionError: as ``Table.walk``.
    """
    remedy = f"{OTHER_FIELD.format('NAME')} for another one" if text_field == CONTENT else ""
    for number, entry in table.walk([text_field, *mapping], remedy):
        if number >= start:
            yield _read_line(table.name, mapping, text_field, needs_label, number, entry)


def gather_lines(lines: Iterable[Line], most_mistakes: float = math.inf) -> tuple[list[Seed], list[Problem], list[int]]:
    """Return all seeds, all mistakes, and the numbers of lines with neither; only the mistake if reading fails.

    Args:
        most_mistakes: reading stops after more mistakes, since a file that is no table may have a million.
    """
    seeds: list[Seed] = []
    problems: list[Problem] = []
    empty: list[int] = []
    try:
        for line in lines:
            seeds += line.seeds
            problems += line.problems
            if not line.seeds and not line.problems:
                empty.append(line.number)
            if len(problems) > most_mistakes:
                break
    except DefinitionError as error:
        return [], list(error.problems), []
    return seeds, problems, empty


def parse_quality(value: object, trait: Trait) -> float | None:
    """Parse a quality in [0, 1] from a number, a pole label or a quality word; None for any other value.

    JSON and CSV values are equivalent: 1 and "1", true and "true". If a trait's label is a quality word with another
    quality ("Low" as the positive label), only its labels count, and no quality words.
    """
    if not isinstance(value, str | int | float):
        return None
    word, known = fold_name(str(value)), _name_qualities(trait)
    number = known[word] if word in known else parse_number(word)
    return number if number is not None and 0 <= number <= 1 else None


def parse_number(word: str) -> float | None:
    """Parse a number in any script, also with a decimal comma; None if the word is not a number."""
    try:
        return float(fold_name(word).replace(",", "."))
    except ValueError:
        return None


def list_qualities(trait: Trait) -> str:
    """Return the values that ``parse_quality`` accepts, for a message."""
    words = ", or a word like good, mixed or poor" if "good" in _name_qualities(trait) else ""
    return f"{trait.positive_label!r}, {trait.negative_label!r}, a number in [0, 1]{words}"


@lru_cache(maxsize=256)
def _name_qualities(trait: Trait) -> Mapping[str, float]:
    labels = {fold_name(trait.negative_label): 0.0, fold_name(trait.positive_label): 1.0}
    contradicts_words = any(QUALITY_WORDS.get(label, quality) != quality for label, quality in labels.items())
    return labels if contradicts_words else QUALITY_WORDS | labels


def _read_line(name: str, mapping: Labels, text_field: str, needs_label: bool, number: int, entry: Entry) -> Line:
    if isinstance(entry, Problem):
        return Line(number, problems=(entry,))
    labels = {field: value for field, value in entry.items() if field in mapping and value not in (None, "")}
    if not labels and not needs_label:
        return Line(number)
    problem = partial(Problem, name, number)
    text = entry.get(text_field)
    if not isinstance(text, str) or not text.strip():
        others = [] if text_field in entry else [field for field in entry if field not in mapping]
        given = f"nothing, but {format_names(others)}" if others else format_value(text)
        column = next((field for field in others if len(str(entry[field]).split()) > 1), None)
        other = OTHER_FIELD.format(column) if column and text_field == CONTENT else ""
        return Line(number, problems=(problem(text_field, given, f"a text that is not empty{other}"),))
    if INVALID_CHARACTER.search(text):
        return Line(number, problems=(problem(text_field, INVALID, VALID),))
    if not labels:
        others = [field for field in entry if field != text_field]
        hint = next(filter(None, (find_near_spelling(field, mapping) for field in others)), None)
        given = f"no label ({format_names(others) or 'no other field'})"
        return Line(number, problems=(problem("line", given, f"a label in {format_names(mapping)}", hint),))
    url = entry.get(SOURCE_URL)
    source_url = url if isinstance(url, str) and url.strip() and not INVALID_CHARACTER.search(url) else None
    seeds, problems = [], []
    for field, value in labels.items():
        trait = mapping[field]
        if trait is None:
            continue
        quality = parse_quality(value, trait)
        if quality is None:
            words = [*_name_qualities(trait), trait.positive_label, trait.negative_label]
            hint = find_near_spelling(value, words) if isinstance(value, str) else None
            problems.append(problem(field, format_value(value), list_qualities(trait), hint))
        else:
            seeds.append(Seed(trait.key, text.strip(), quality, f"{name}:{number}", source_url))
    return Line(number, tuple(seeds), tuple(problems))
