"""Define the fields of ``model.yaml``, and their JSON Schema for completion in editors.

The text below a field is its description in the JSON Schema and in the file that ``exemplars new`` writes.
"""

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticKnownError

from engine.definitions.mistakes import Entry, check_entries
from engine.definitions.sources.tables import CONTENT
from engine.domain.definition import Brief, Length, OwnScenarios, Question, Text, Texts, Trait, as_texts
from engine.domain.language_tag import parse_tag
from engine.domain.model import Effort
from engine.rules.rules import OPTIONAL_RULES

# Formats with labels in each line, by file extension.
_LABELLED = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}
MAX_QUESTIONS = 8
INSIDE = "a path inside the model's own folder"


def _check_rule(code: str) -> str:
    if code not in OPTIONAL_RULES:
        raise PydanticKnownError("literal_error", {"expected": ", ".join(OPTIONAL_RULES)})
    return code


def _check_inside(path: str) -> str:
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts or "\\" in path:
        raise ValueError(INSIDE)
    return path


def _check_unlabelled(path: str) -> str:
    if labelled := _LABELLED.get(PurePosixPath(path).suffix.lower()):
        raise ValueError(f"a text file. The type of this one is {labelled}, since its lines have labels of their own")
    return path


_Tag = Annotated[str, AfterValidator(parse_tag)]
_Rule = Annotated[str, AfterValidator(_check_rule), WithJsonSchema({"enum": list(OPTIONAL_RULES)})]
_Rules = Annotated[tuple[_Rule, ...], BeforeValidator(as_texts, json_schema_input_type=_Rule | list[_Rule])]
_PathInside = Annotated[str, Field(min_length=1), AfterValidator(_check_inside)]
# A string, since all scalars of a file are read as text, numbers too.
_Quality = Annotated[
    str, WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "string"}]})
]


class DescribedEntry(Entry):
    """An object of fields, each with its description in the docstring below it."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class MappingEntry(DescribedEntry):
    """The trait that a field of a source feeds."""

    trait: str
    """The key of a trait of this model."""


class TextMappingEntry(MappingEntry):
    """A trait that is labelled by all texts of a source."""

    quality: _Quality | None = None
    """For the type file only: the quality of all its texts, from 0 to 1, a quality word or a label of the trait. By
    default 1, the positive pole."""


def _read_target(value: object, validate: ValidatorFunctionWrapHandler) -> MappingEntry | None:
    if value == CONTENT:
        return None
    if not isinstance(value, dict):
        raise ValueError("its trait, as in {trait: KEY}, or content, for the field that has the text")
    target: MappingEntry = validate(value)
    return target


# None for the text field.
_Target = Annotated[
    MappingEntry | None, WrapValidator(_read_target, json_schema_input_type=MappingEntry | Literal["content"])
]


class LinesEntry(DescribedEntry):
    """A file of labelled texts, one a line."""

    type: Literal["jsonl", "csv"]
    """jsonl and csv: labelled texts, one a line. file: a text file with a sample in each passage. noise: ordinary texts
    that come with the code, as negative samples of a topic. texts: your unlabelled texts. github_csv, huggingface and
    url are legal and skipped."""
    path: _PathInside
    """A file in the model's own folder; noise has none."""
    mapping: Annotated[dict[str, _Target], AfterValidator(check_entries)] | None = None
    """The trait that each field or column labels. If the text is not in content, name its field: text: content. By
    default each trait's key is its field. For the type file the names have no meaning; without a mapping its texts
    label the model's only trait. Noise has no mapping: it labels every topic."""


class TextEntry(DescribedEntry):
    """A text file with a sample in each passage."""

    type: Literal["file"]
    path: Annotated[_PathInside, AfterValidator(_check_unlabelled)]
    mapping: Annotated[dict[str, TextMappingEntry], AfterValidator(check_entries)] | None = None
    split: Literal["paragraphs", "lines"] | None = None
    """For the type file: a passage is a paragraph between blank lines (the default), or a line."""


class NoiseEntry(DescribedEntry):
    """Ordinary texts that come with the code, as negative samples of a topic."""

    type: Literal["noise"]
    without: Texts = ()
    """For noise: subjects to leave out because they belong to the topic, such as cooking."""


class OwnTextsEntry(DescribedEntry):
    """The author's unlabelled texts. Samples take subjects and lengths from them, but the texts are no samples."""

    type: Literal["texts"]
    path: _PathInside
    """For texts: CSV, JSONL, Parquet, a .txt with a text a line, or a folder of .txt files."""
    field: Text = "text"
    """For texts: the column or field with the text."""


class SkippedEntry(DescribedEntry):
    """A source that is legal but not read here; its other fields are not checked."""

    model_config = ConfigDict(extra="allow")

    type: Literal["github_csv", "huggingface", "url"]

    @property
    def place(self) -> str | None:
        """The source's path or URL; None if it names neither."""
        given = self.model_extra or {}
        place = given.get("path") or given.get("url")
        return place if isinstance(place, str) else None


SourceEntry = Annotated[LinesEntry | TextEntry | NoiseEntry | OwnTextsEntry | SkippedEntry, Field(discriminator="type")]


def _read_traits(value: object, validate: ValidatorFunctionWrapHandler) -> tuple[Trait, ...]:
    traits: tuple[Trait, ...] = () if value == "discover" else check_entries(validate(value))
    return traits


def _name_as_pack(value: object) -> object:
    return {"pack": value} if isinstance(value, str) else value


_Traits = Annotated[
    tuple[Trait, ...],
    WrapValidator(
        _read_traits, json_schema_input_type=Annotated[list[Trait], Field(min_length=1)] | Literal["discover"]
    ),
]
_Scenarios = Annotated[OwnScenarios, BeforeValidator(_name_as_pack, json_schema_input_type=OwnScenarios | str)]


class ModelEntry(DescribedEntry):
    """A model: one standard of judgment, made of traits. It has no traits while they are to be discovered."""

    model_config = ConfigDict(title="model.yaml of Exemplars")

    traits: _Traits
    """The axes of judgment; each has its own samples."""
    description: str | None = None
    """One line on what the model judges; prompts contain it."""
    effort: Effort | None = None
    """The effort of runs that name none; high by default."""
    sources: tuple[SourceEntry, ...] = ()
    """Where authored samples come from. With six or more a pole the embedded model is far better."""
    additional_terms: Texts = ()
    """Terms, such as terms of use, for the cards of the model and of its sets: a text or a list."""
    upstream_sources: Texts = ()
    """Origin of the definition or the samples, for the same cards."""
    brief: Brief = Brief()
    """What is good, and how texts fail."""
    scenarios: _Scenarios = OwnScenarios()
    """Subjects and readers of texts, or the name of a scenario pack. Empty fields are chosen by the words of the
    model."""
    questions: Annotated[tuple[Question, ...], Field(max_length=MAX_QUESTIONS)] = ()
    """Questions that the chat judge answers about each text in its vote, eight at most. With a question there is a vote
    at every effort."""
    allow: _Rules = ()
    """Faults that the texts of this model may have, by reason code, such as placeholder for letters with gaps. Their
    rejection rules are off."""
    language: _Tag | None = None
    """The language of the texts, a tag of BCP 47 such as de, pt-BR or hi. By default it is detected from the samples,
    else from labels and descriptions, else from the brief; else it is English."""


# The classes of all objects whose fields are read.
_READ = (ModelEntry, Trait, LinesEntry, TextEntry, NoiseEntry, OwnTextsEntry, MappingEntry, TextMappingEntry)
OBJECTS: Mapping[str, type] = {kind.__name__: kind for kind in (*_READ, Brief, OwnScenarios, Length, Question)}


def list_fields(kind: type) -> Mapping[str, FieldInfo]:
    """Return the fields of an object of the file by name, with their descriptions."""
    fields: Mapping[str, FieldInfo] = vars(kind)["__pydantic_fields__"]
    return fields


def format_schema() -> str:
    """Return the JSON Schema of ``model.yaml``. A test compares it with docs/reference/schemas."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **ModelEntry.model_json_schema()}
    return json.dumps(schema, ensure_ascii=False, indent=2) + "\n"
