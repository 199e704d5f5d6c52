"""The shape of ``model.yaml``: which fields it has, and every mistake in them in the words of a person."""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from engine.definitions.yaml_document import Document, Path, Value
from engine.domain.model import Aggregation, Effort, Skipped, TraitType
from engine.errors import Problem

SKIPPED_SOURCES = ("github_csv", "huggingface", "url", "file", "noise")
# Where a spelling is near enough to be offered: difflib's own default for close matches.
NEAR_SPELLING_CUTOFF = 0.6
# Where an unknown field is surely a slip: below this stand fields of others ("tags" is .6 like "traits").
TYPO_CUTOFF = 0.75


def _as_texts(value: object) -> object:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else value


def _none_as_empty(value: object) -> object:
    return () if value is None else value


def _none_as_fields(value: object) -> object:
    return {} if value is None else value


Texts = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_as_texts)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class TraitEntry(_Entry):
    """A trait object as it is written."""

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
    """Which trait a field of a source feeds."""

    trait: str


class SourceEntry(_Entry):
    """A source as it is written; of one that is not read here only what names it."""

    type: Literal["jsonl", "csv", "github_csv", "huggingface", "url", "file", "noise"]
    path: str | None = None
    mapping: Annotated[dict[str, MappingEntry], Field(min_length=1)] | None = None


def _keep_place(value: object) -> object:
    """Of a source that is not read here only what names it: its other fields are not ours to check."""
    if not isinstance(value, dict) or not _is_foreign(value):
        return value
    place = value.get("path") or value.get("url")
    return {"type": value["type"], "path": place if isinstance(place, str) else None}


class BriefEntry(_Entry):
    """The brief as it is written: each field a text or a list of texts."""

    intent: Texts = ()
    domain: Texts = ()
    exemplars_of_good: Texts = ()
    failure_modes: Texts = ()
    edge_cases: Texts = ()
    non_goals: Texts = ()


class ModelEntry(_Entry):
    """The whole file as it is written."""

    traits: Annotated[tuple[TraitEntry, ...], Field(min_length=1)]
    description: str | None = None
    effort: Effort | None = None
    sources: Annotated[
        tuple[Annotated[SourceEntry, BeforeValidator(_keep_place)], ...], BeforeValidator(_none_as_empty)
    ] = ()
    additional_terms: Texts = ()
    upstream_sources: Texts = ()
    brief: Annotated[BriefEntry, BeforeValidator(_none_as_fields)] = Field(default_factory=BriefEntry)


class _PartialModelEntry(ModelEntry):
    """What is left of a model once its wrong entries are taken out, or of one without traits yet."""

    traits: tuple[TraitEntry, ...] = ()


@dataclass(slots=True)
class Findings:
    """What the reading of one definition gathers beside its values."""

    document: Document
    problems: list[Problem] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    origins: dict[str, list[int]] = field(default_factory=dict)

    def origin(self, section: str, index: int) -> Path:
        """Where an entry stands in the file, once wrong ones before it have been left out."""
        return (section, self.origins[section][index] if section in self.origins else index)

    def add(self, path: Path, found: str, allowed: str, suggestion: str | None = None) -> None:
        """Notes a mistake at a path of the file."""
        dotted = ".".join(str(part) for part in path) or "file"
        self.problems.append(Problem(self.document.name, self.document.line(path), dotted, found, allowed, suggestion))


def validate_entry(value: dict[str, Value], findings: Findings) -> ModelEntry:
    """The checked fields; where some are wrong, what is left without them, so that the rest is read too."""
    _note_unknown(value, findings)
    kind = ModelEntry
    if has_traits_to_discover(value):
        kind, value = _PartialModelEntry, {word: entry for word, entry in value.items() if word != "traits"}
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        # pydantic counts a list without its wrong entries: that it is too short then is no mistake of its own.
        items = [item for item in error.errors() if item["type"] != "too_short" or not item["input"]]
        for item in items:
            found = "nothing" if item["type"] == "missing" else format_value(item["input"])
            allowed, choices = _describe_allowed(item["type"], item.get("ctx", {}), item["msg"])
            findings.add(item["loc"], found, allowed, find_near_spelling(str(item["input"]), choices))
        return _prune(value, {item["loc"][:2] for item in items}, findings)


def has_traits_to_discover(value: Value) -> bool:
    """Whether a definition says that the model's traits are still to be discovered."""
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


# pydantic's names of the mistakes, in the words of a person who writes YAML.
_ALLOWED = {
    "missing": "this field is required",
    "string_pattern_mismatch": "lower-case letters, digits, '_' and '-'",
    "string_type": "text",
    "string_too_short": "text that is not empty",
    "string_too_long": "text of at most 100 characters",
    "tuple_type": "a list",
    "too_short": "at least one entry",
    "model_type": "an object of fields",
    "dict_type": "an object of fields",
}


def _describe_allowed(kind: str, context: Mapping[str, object], message: str) -> tuple[str, list[str]]:
    """What a field may hold, in words, and the choices to take a near spelling from."""
    if kind == "literal_error":
        expected = str(context["expected"]).replace("'", "")
        return expected, expected.replace(" or ", ", ").split(", ")
    return _ALLOWED.get(kind, message.lower()), []


_FIELDS: dict[str, Iterable[str]] = {
    "": ModelEntry.model_fields,
    "traits": TraitEntry.model_fields,
    "sources": SourceEntry.model_fields,
    "mapping": MappingEntry.model_fields,
    "brief": BriefEntry.model_fields,
}


def _note_unknown(value: dict[str, Value], findings: Findings) -> None:
    """A field that is nearly one of ours is a slip; any other is somebody else's and named as skipped."""
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
    """Every object whose fields are ours to check, with its path and its section."""
    yield (), value, ""
    if isinstance(brief := value.get("brief"), dict):
        yield ("brief",), brief, "brief"
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
    """The field that was meant: its beginning, its letters in another order, or a near spelling."""
    for name in known:
        if name.startswith(f"{word}_") or sorted(name) == sorted(word):
            return name
    return find_near_spelling(word, known, TYPO_CUTOFF)


def _is_foreign(source: dict[str, Value]) -> bool:
    return source.get("type") in SKIPPED_SOURCES


def find_near_spelling(word: str, choices: Iterable[str], cutoff: float = NEAR_SPELLING_CUTOFF) -> str | None:
    """The choice that a word is nearly spelt like, when there is one."""
    near = difflib.get_close_matches(word.lower(), list(choices), n=1, cutoff=cutoff)
    return near[0] if near else None


def format_value(value: object) -> str:
    """A value as a message shows it, shortened."""
    if isinstance(value, dict | list | tuple):
        return "an object" if isinstance(value, dict) else f"a list of {len(value)}"
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
