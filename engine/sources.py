"""Authored samples: the lines of a JSONL or CSV file become seeds (the platform's contract, section 3)."""

import codecs
import csv
import difflib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.errors import Problem
from engine.model import SURROGATE, Seed, Trait

CONTENT = "content"
QUALITY_WORDS = {
    **dict.fromkeys(("positive", "good", "yes", "high", "strong", "excellent"), 1.0),
    **dict.fromkeys(("fair", "moderate", "mixed", "medium"), 0.5),
    **dict.fromkeys(("poor", "no", "low", "weak", "bad", "negative"), 0.0),
}
ALLOWED_CSV = "a UTF-8 CSV file with a header row"
ALLOWED_QUALITY = "a number in [0, 1], a quality word or a pole label"

# Which field feeds which trait; None for a trait that is reported as wrong already, whose labels are not read.
Labels = Mapping[str, Trait | None]


@dataclass(slots=True)
class _Reading:
    """One file being read: its seeds and its mistakes."""

    name: str
    mapping: Labels
    seeds: list[Seed] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add(self, line: int, place: str, found: str, allowed: str, suggestion: str | None = None) -> None:
        self.problems.append(Problem(self.name, line, place, found, allowed, suggestion))


def read_jsonl(name: str, content: bytes, mapping: Labels) -> tuple[list[Seed], list[Problem]]:
    """The seeds of a JSONL file, and every mistake in it; blank lines are passed over."""
    reading = _Reading(name, mapping)
    for number, line in enumerate(content.removeprefix(codecs.BOM_UTF8).split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line.decode())
        except (ValueError, RecursionError):
            reading.add(number, "line", repr(line[:40].decode(errors="replace")), "one JSON object a line")
            continue
        if isinstance(entry, dict):
            _read_entry(reading, number, entry)
        else:
            reading.add(number, "line", type(entry).__name__, "one JSON object a line")
    return reading.seeds, reading.problems


def read_csv(name: str, content: bytes, mapping: Labels) -> tuple[list[Seed], list[Problem]]:
    """The seeds of a CSV file with a header row; an empty cell labels nothing."""
    reading = _Reading(name, mapping)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        reading.add(line, "file", f"a byte that is not UTF-8 at offset {error.start}", ALLOWED_CSV)
        return [], reading.problems
    rows = _read_rows(reading, text)
    if reading.problems:
        return [], reading.problems
    header = rows[0][1] if rows else []
    for column in (CONTENT, *mapping):
        if column not in header:
            near = difflib.get_close_matches(column, header, n=1)
            reading.add(1, "header", ", ".join(header) or "nothing", f"a column {column!r}", near[0] if near else None)
    if not reading.problems:
        for number, row in rows[1:]:
            if len(row) > len(header):
                reading.add(number, "line", f"{len(row)} cells", f"{len(header)}, as in the header; quote a comma")
                continue
            _read_entry(reading, number, {key: cell for key, cell in zip(header, row, strict=False) if cell.strip()})
    return reading.seeds, reading.problems


def parse_quality(value: object, trait: Trait) -> float | None:
    """The quality that a value stands for; None where it stands for none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value) if 0 <= value <= 1 else None
    if not isinstance(value, str):
        return None
    word = value.strip().casefold()
    own = {trait.negative_label.casefold(): 0.0, trait.positive_label.casefold(): 1.0}
    if word in own or word in QUALITY_WORDS:
        return own.get(word, QUALITY_WORDS.get(word))
    try:
        number = float(word)
    except ValueError:
        return None
    return number if 0 <= number <= 1 else None


def _read_rows(reading: _Reading, text: str) -> list[tuple[int, list[str]]]:
    """The rows that are not empty, each with the line that it begins on: a quoted cell may go over several."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, list[str]]] = []
    begins = 1
    try:
        for row in reader:
            if row:
                rows.append((begins, row))
            begins = reader.line_num + 1
    except csv.Error as error:
        reading.add(begins, "file", str(error), ALLOWED_CSV)
    return rows


def _read_entry(reading: _Reading, line: int, entry: Mapping[str, object]) -> None:
    text = entry.get(CONTENT)
    if not isinstance(text, str) or not text.strip():
        reading.add(line, CONTENT, "nothing" if text is None else repr(text)[:80], "a text that is not empty")
        return
    if SURROGATE.search(text):
        reading.add(line, CONTENT, "half of a surrogate pair", "whole Unicode characters")
        return
    labels = {name: value for name, value in entry.items() if name in reading.mapping and value is not None}
    if not labels:
        others = ", ".join(name for name in entry if name != CONTENT) or "no other field"
        near = [difflib.get_close_matches(name, list(reading.mapping), n=1) for name in entry if name != CONTENT]
        hint = next((match[0] for match in near if match), None)
        reading.add(line, "line", f"no label ({others})", "a label in " + ", ".join(reading.mapping), hint)
    for name, value in labels.items():
        trait = reading.mapping[name]
        if trait is None:
            continue
        quality = parse_quality(value, trait)
        if quality is None:
            words = [*QUALITY_WORDS, trait.positive_label.casefold(), trait.negative_label.casefold()]
            near_words = difflib.get_close_matches(str(value).casefold(), words, n=1)
            reading.add(line, name, repr(value), ALLOWED_QUALITY, near_words[0] if near_words else None)
        else:
            reading.seeds.append(Seed(trait.key, text.strip(), quality, f"{reading.name}:{line}"))
