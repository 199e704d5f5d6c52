"""Validate authored files in one pass of pydantic, and report every mistake of form with its line."""

import difflib
import math
from collections.abc import Collection, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, ValidationInfo, model_validator

from engine.definitions.yaml_document import Document, Fields, Path
from engine.domain.definition import take_fields
from engine.domain.model import Skipped
from engine.errors import DefinitionError, Problem
from engine.text.formatting import shorten

# A spelling of this similarity or more is suggested: difflib's default for close matches.
NEAR_SPELLING_CUTOFF = 0.6
# An unknown field of this similarity or more counts as a typo; fields of other tools lie below ("tags"/"traits": 0.6).
TYPO_CUTOFF = 0.75
# With more choices no spelling is suggested: comparing 3,000 wrong words with 3,000 choices took 16 seconds.
MAX_COMPARED = 200
NEGATIONS = ("un", "in", "im", "il", "ir", "dis", "non", "non-", "not ", "no ")
# Maximum length of a value and of a list of names in a message, in characters.
MAX_QUOTED, MAX_LISTED = 80, 300

# Allowed values in plain words, by pydantic's error type. Our validators put the allowed values into their messages.
_ALLOWED = {
    **dict.fromkeys(("missing", "union_tag_not_found"), "this field is required"),
    "json_invalid": "one JSON object ({error})",
    "string_pattern_mismatch": "lower-case letters and digits, '_' and '-' beside them",
    "extra_forbidden": "no field of this name",
    "string_type": "text",
    "string_too_short": "text that is not empty",
    "string_too_long": "text of at most {max_length} characters",
    **dict.fromkeys(("int_type", "int_parsing", "int_parsing_size", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), "a number"),
    "greater_than_equal": "{number} of at least {ge}",
    "less_than_equal": "{number} of at most {le}",
    "greater_than": "{number} above {gt}",
    "tuple_type": "a list",
    **dict.fromkeys(("dict_type", "dataclass_type", "model_attributes_type"), "an object of fields"),
}
Kind = TypeVar("Kind")
Entries = TypeVar("Entries", bound=Sized)


@dataclass(slots=True)
class Findings:
    """Mistakes and skipped parts, collected while one file is read."""

    document: Document
    problems: list[Problem] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def add(self, path: Path, given: str, allowed: str, suggestion: str | None = None) -> None:
        """Add a mistake at a path of the file."""
        dotted = ".".join(str(part) for part in path if part != "[key]") or "file"
        self.problems.append(Problem(self.document.name, self.document.line(path), dotted, given, allowed, suggestion))

    def add_unknown(self, path: Path, value: object, what: str, choices: Collection[str]) -> None:
        """Add a mistake for a value that is not among the choices; ``what`` describes them."""
        self.add(path, format_value(value), f"{what}: {format_names(choices)}", find_near_spelling(str(value), choices))

    def note_unknown_fields(self, value: Mapping[str, object], known: Sequence[str]) -> None:
        """Add the unknown fields of an object: as a mistake if one looks like a known field, otherwise as skipped.

        It looks like a known field if it is the part before "_", has the same letters in another order, or is similar.
        """
        for word in value:
            if word in known or not isinstance(value, Fields):
                continue
            path = (*value.path, word)
            similar = (name for name in known if name.startswith(f"{word}_") or sorted(name) == sorted(word))
            if near := next(similar, None) or find_near_spelling(word, known, TYPO_CUTOFF):
                self.add(path, format_value(word), f"one of {', '.join(known)}", near)
            else:
                what = f"field {word!r} ({self.document.locate(path)})"
                self.skipped.append(Skipped(what, "not a field that is read here"))

    def add_errors(self, error: ValidationError) -> None:
        """Add every mistake that pydantic reports."""
        for item in error.errors(include_url=False):
            allowed, choices = _describe_allowed(item["type"], item.get("ctx", {}), item["msg"])
            if allowed == _ALLOWED["tuple_type"] and isinstance(item["input"], Fields):
                allowed = f"{allowed}, each entry of which begins with '- '"
            path, given = self._drop_tags(item["loc"]), item["input"]
            if item["type"].startswith("union_tag"):
                path, given = (*path, "type"), given.get("type")
            if item["type"] == "extra_forbidden":
                given = path[-1]
            shown = "nothing" if item["type"] == "missing" else format_value(given)
            self.add(path, shown, allowed, find_near_spelling(str(given), choices) if choices else None)

    def _drop_tags(self, path: Path) -> Path:
        """Drop the ``type`` that pydantic inserts after the path of an object of a union."""
        kept: list[str | int] = []
        value: Any = self.document.value
        for part in path:
            if isinstance(value, dict) and part not in value and part == value.get("type"):
                continue
            kept.append(part)
            exists = part in value if isinstance(value, dict) else isinstance(value, list) and isinstance(part, int)
            value = value[part] if exists else None
        return tuple(kept)

    def make_error(self) -> DefinitionError:
        """Return one error with all mistakes: first the file's, by line, then the mistakes of its samples."""
        name = self.document.name
        return DefinitionError(
            name, sorted(self.problems, key=lambda item: (item.line or 0) if item.file == name else math.inf)
        )


class Entry(BaseModel):
    """An object of fields. A field without a value counts as missing.

    An unknown field that is spelt nearly like a known one is a mistake; any other is reported as skipped.
    """

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _take_fields(cls, value: object, info: ValidationInfo) -> object:
        return take_fields(value, list(cls.model_fields), None if "extra" in cls.model_config else info.context)


class ClosedEntry(Entry):
    """An object of fields that reports every unknown field as a mistake."""

    model_config = ConfigDict(extra="forbid")


def validate_document(document: Document, kind: type[Kind]) -> tuple[Kind, Findings]:
    """Validate a file; return its values, and findings with the skipped parts and no mistakes.

    Raises:
        DefinitionError: there are mistakes of form; the error carries all of them.
    """
    findings = Findings(document)
    try:
        entry = TypeAdapter(kind).validate_python(document.value, context=findings)
    except ValidationError as error:
        findings.add_errors(error)
        raise findings.make_error() from None
    if findings.problems:
        raise findings.make_error()
    return entry, findings


def check_entries(value: Entries) -> Entries:
    """Check that there is an entry. It runs after each entry's validation: pydantic would count the valid ones only.

    Raises:
        ValueError: there is none.
    """
    if not value:
        raise ValueError("at least one entry")
    return value


def find_near_spelling(word: str, choices: Collection[str], cutoff: float = NEAR_SPELLING_CUTOFF) -> str | None:
    """Return the choice with the spelling nearest to a word, ignoring case; None if none is similar enough.

    A word's opposite, such as “polite” for “impolite”, is never suggested.
    """
    if len(choices) > MAX_COMPARED:
        return None
    folded, lowered = {choice.casefold(): choice for choice in choices}, word.casefold()
    opposites = {prefix + lowered for prefix in NEGATIONS}
    opposites |= {lowered.removeprefix(prefix) for prefix in NEGATIONS if lowered.startswith(prefix)}
    near = difflib.get_close_matches(lowered, [name for name in folded if name not in opposites], 1, cutoff)
    return folded[near[0]] if near else None


def format_value(value: object) -> str:
    """Format a value for a message, shortened to ``MAX_QUOTED`` characters."""
    if isinstance(value, dict | list | tuple):
        return "an object" if isinstance(value, dict) else f"a list of {len(value)}"
    return "nothing" if value is None else shorten(repr(value), MAX_QUOTED)


def format_names(names: Collection[str]) -> str:
    """Join names for a message, shortened to ``MAX_LISTED`` characters."""
    return shorten(", ".join(names), MAX_LISTED)


def _describe_allowed(kind: str, context: Mapping[str, object], message: str) -> tuple[str, list[str]]:
    if kind in ("literal_error", "union_tag_invalid"):
        expected = str(context.get("expected") or context["expected_tags"]).replace("'", "")
        return expected, expected.replace(" or ", ", ").split(", ")
    if kind not in _ALLOWED:
        return str(context.get("error", message)), []
    number = "a number" if any(isinstance(limit, float) for limit in context.values()) else "a whole number"
    limits = {name: str(limit).removesuffix(".0") for name, limit in context.items()}
    return _ALLOWED[kind].format(number=number, **limits), []
