"""Defines the fields of ``model.yaml``, and reports every mistake in them in plain words."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from engine.definitions.yaml_document import Document, Path, Value
from engine.domain.language_tag import parse_tag
from engine.domain.model import Aggregation, Effort, Skipped, TraitType
from engine.errors import Problem

SKIPPED_SOURCES = ("github_csv", "huggingface", "url", "file", "noise")
# From this similarity a spelling is offered as a suggestion: difflib's own default for close matches.
NEAR_SPELLING_CUTOFF = 0.6
# From this similarity an unknown field is taken for a typo: other tools' fields lie below ("tags" is .6 like "traits").
TYPO_CUTOFF = 0.75
# The longest phrase of a scenario, in characters: prompts and reports put it on one line.
MAX_PHRASE = 200
# More words than a model writes in one reply.
MAX_WORDS = 5000


def _as_texts(value: object) -> object:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else value


def _fold_spaces(value: str) -> str:
    folded = " ".join(value.split())
    if not folded:
        raise PydanticCustomError("string_too_short", "text that is not empty")
    return folded


def _none_as_empty(value: object) -> object:
    return () if value is None else value


def _none_as_fields(value: object) -> object:
    return {} if value is None else value


_Phrase = Annotated[str, AfterValidator(_fold_spaces), Field(max_length=MAX_PHRASE)]
Texts = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_as_texts)]
Phrases = Annotated[tuple[_Phrase, ...], BeforeValidator(_as_texts)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class TraitEntry(_Entry):
    """A trait object as written in the file."""

    type: TraitType
    key: str = Field(pattern=r"^[a-z0-9_-]+$", max_length=100)
    name: str | None = None
    description: str | None = None
    positive_label: str | None = None
    negative_label: str | None = None
    kind: Literal["extrinsic"] | None = None
    aggregation: Aggregation = "mean"
    positive_paraphrase: Texts = ()
    negative_paraphrase: Texts = ()


class MappingEntry(_Entry):
    """The trait that a field of a source feeds."""

    trait: str


class SourceEntry(_Entry):
    """A source as written in the file; if its type is not read here, only its type and path."""

    type: Literal["jsonl", "csv", "github_csv", "huggingface", "url", "file", "noise"]
    path: str | None = None
    mapping: Annotated[dict[str, MappingEntry], Field(min_length=1)] | None = None


def _keep_place(value: object) -> object:
    """Reduces a source that is not read here to its type and path: its other fields are not ours to check."""
    if not isinstance(value, dict) or not _is_foreign(value):
        return value
    place = value.get("path") or value.get("url")
    return {"type": value["type"], "path": place if isinstance(place, str) else None}


class BriefEntry(_Entry):
    """The brief as written in the file: each field is a text or a list of texts."""

    intent: Texts = ()
    domain: Texts = ()
    exemplars_of_good: Texts = ()
    failure_modes: Texts = ()
    edge_cases: Texts = ()
    non_goals: Texts = ()


class LengthEntry(_Entry):
    """A length as written in the file, in words."""

    name: _Phrase
    min_words: int = Field(ge=1, le=MAX_WORDS)
    max_words: int = Field(ge=1, le=MAX_WORDS)


class ScenariosEntry(_Entry):
    """The scenarios as written in the file: a pack, values of the model's own, or both."""

    pack: str | None = None
    subjects: Phrases = ()
    audiences: Phrases = ()
    forms: Phrases = ()
    lengths: Annotated[tuple[LengthEntry, ...], BeforeValidator(_none_as_empty)] = ()


def _name_as_pack(value: object) -> object:
    """Reads a name alone as that of a pack."""
    return {"pack": value} if isinstance(value, str) else _none_as_fields(value)


def _as_tag(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return parse_tag(value)
    except ValueError as error:
        raise PydanticCustomError("language_tag", "{allowed}", {"allowed": str(error)}) from None


class ModelEntry(_Entry):
    """The whole file as written."""

    traits: Annotated[tuple[TraitEntry, ...], Field(min_length=1)]
    description: str | None = None
    effort: Effort | None = None
    sources: Annotated[
        tuple[Annotated[SourceEntry, BeforeValidator(_keep_place)], ...], BeforeValidator(_none_as_empty)
    ] = ()
    additional_terms: Texts = ()
    upstream_sources: Texts = ()
    brief: Annotated[BriefEntry, BeforeValidator(_none_as_fields)] = Field(default_factory=BriefEntry)
    scenarios: Annotated[ScenariosEntry, BeforeValidator(_name_as_pack)] = Field(default_factory=ScenariosEntry)
    language: Annotated[str | None, BeforeValidator(_as_tag)] = None


class _PartialModelEntry(ModelEntry):
    """A model whose wrong entries have been left out, or one without traits yet."""

    traits: tuple[TraitEntry, ...] = ()


@dataclass(slots=True)
class Findings:
    """The mistakes and skipped parts that are collected while one definition is read.

    ``origins`` maps a section to the positions that its remaining entries have in the file.
    """

    document: Document
    problems: list[Problem] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    origins: dict[str, list[int]] = field(default_factory=dict)

    def origin(self, section: str, index: int) -> Path:
        """Returns the path that an entry has in the file, where wrong entries before it still count."""
        return (section, self.origins[section][index] if section in self.origins else index)

    def add(self, path: Path, found: str, allowed: str, suggestion: str | None = None) -> None:
        """Adds a mistake at a path of the file."""
        dotted = ".".join(str(part) for part in path) or "file"
        self.problems.append(Problem(self.document.name, self.document.line(path), dotted, found, allowed, suggestion))


def validate_entry(value: dict[str, Value], findings: Findings) -> ModelEntry:
    """Validates the fields of a definition; wrong ones are reported and left out, so that the rest is read too."""
    _note_unknown(value, findings)
    kind = ModelEntry
    if has_traits_to_discover(value):
        kind, value = _PartialModelEntry, {word: entry for word, entry in value.items() if word != "traits"}
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        # pydantic counts a list without its wrong entries; that it is then too short is not a second mistake.
        items = [item for item in error.errors() if item["type"] != "too_short" or not item["input"]]
        for item in items:
            found = "nothing" if item["type"] == "missing" else format_value(item["input"])
            allowed, choices = _describe_allowed(item["type"], item.get("ctx", {}), item["msg"])
            findings.add(item["loc"], found, allowed, find_near_spelling(str(item["input"]), choices))
        return _prune(value, {item["loc"][:2] for item in items}, findings)


def has_traits_to_discover(value: Value) -> bool:
    """Whether a definition says that its traits are still to be discovered."""
    return isinstance(value, dict) and value.get("traits") == "discover"


def _prune(value: dict[str, Value], wrong: set[Path], findings: Findings) -> ModelEntry:
    kept: dict[str, Value] = {}
    for word, entry in value.items():
        if isinstance(entry, list) and word in ("traits", "sources"):
            right = [index for index in range(len(entry)) if (word, index) not in wrong]
            findings.origins[word] = right
            kept[word] = [entry[index] for index in right]
        elif not any(path[0] == word for path in wrong):
            kept[word] = entry
    return _PartialModelEntry.model_validate(kept)


# What is allowed, in plain words, by pydantic's name of the mistake.
_ALLOWED = {
    "missing": "this field is required",
    "string_pattern_mismatch": "lower-case letters, digits, '_' and '-'",
    "string_type": "text",
    "string_too_short": "text that is not empty",
    "string_too_long": "text of at most {max_length} characters",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "greater_than_equal": "a whole number of at least {ge}",
    "less_than_equal": "a whole number of at most {le}",
    "tuple_type": "a list",
    "too_short": "at least one entry",
    "language_tag": "{allowed}",
    "model_type": "an object of fields",
    "dict_type": "an object of fields",
}


def _describe_allowed(kind: str, context: Mapping[str, object], message: str) -> tuple[str, list[str]]:
    """Describes what a field may hold, and lists the choices among which a similar spelling is looked for."""
    if kind == "literal_error":
        expected = str(context["expected"]).replace("'", "")
        return expected, expected.replace(" or ", ", ").split(", ")
    return _ALLOWED[kind].format(**context) if kind in _ALLOWED else message.lower(), []


_FIELDS: dict[str, Iterable[str]] = {
    "": ModelEntry.model_fields,
    "traits": TraitEntry.model_fields,
    "sources": SourceEntry.model_fields,
    "mapping": MappingEntry.model_fields,
    "brief": BriefEntry.model_fields,
    "scenarios": ScenariosEntry.model_fields,
    "lengths": LengthEntry.model_fields,
}


def _note_unknown(value: dict[str, Value], findings: Findings) -> None:
    """Reports unknown fields: one spelt nearly like one of ours as a mistake, any other as skipped."""
    for path, entry, section in _list_objects(value):
        known = list(_FIELDS[section])
        for word in entry:
            if word in known:
                continue
            if near := _find_typo(word, known):
                findings.add((*path, word), repr(word), "one of " + ", ".join(known), near)
            else:
                place = f"{findings.document.name}:{findings.document.line((*path, word))}"
                findings.skipped.append(Skipped(f"field {word!r} ({place})", "not a field that is read here"))


def _list_objects(value: dict[str, Value]) -> Iterator[tuple[Path, dict[str, Value], str]]:
    """Yields every object whose fields are ours to check, with its path and its section."""
    yield (), value, ""
    for section in ("brief", "scenarios"):
        if isinstance(fields := value.get(section), dict):
            yield (section,), fields, section
            lengths = fields.get("lengths") if section == "scenarios" else None
            for index, entry in enumerate(lengths if isinstance(lengths, list) else ()):
                if isinstance(entry, dict):
                    yield (section, "lengths", index), entry, "lengths"
    for section in ("traits", "sources"):
        entries = value.get(section)
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            if not isinstance(entry, dict) or (section == "sources" and _is_foreign(entry)):
                continue
            yield (section, index), entry, section
            mapping = entry.get("mapping") if section == "sources" else None
            for word, target in mapping.items() if isinstance(mapping, dict) else ():
                if isinstance(target, dict):
                    yield (section, index, "mapping", word), target, "mapping"


def _find_typo(word: str, known: Iterable[str]) -> str | None:
    """Finds the field that was meant: ``word`` is its beginning, has its letters in another order, or is similar."""
    for name in known:
        if name.startswith(f"{word}_") or sorted(name) == sorted(word):
            return name
    return find_near_spelling(word, known, TYPO_CUTOFF)


def _is_foreign(source: dict[str, Value]) -> bool:
    return source.get("type") in SKIPPED_SOURCES


def find_near_spelling(word: str, choices: Iterable[str], cutoff: float = NEAR_SPELLING_CUTOFF) -> str | None:
    """Finds the choice that is spelt most like a word; None if none is similar enough."""
    near = difflib.get_close_matches(word.lower(), list(choices), n=1, cutoff=cutoff)
    return near[0] if near else None


def format_value(value: object) -> str:
    """Formats a value for a message, shortened to 80 characters."""
    if isinstance(value, dict | list | tuple):
        return "an object" if isinstance(value, dict) else f"a list of {len(value)}"
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
