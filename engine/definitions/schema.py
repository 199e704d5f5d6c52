"""Define the fields of ``model.yaml``, and their JSON Schema for completion in editors.

The text below a field is its description in the JSON Schema and in the file that ``exemplars new`` writes.
"""

import json
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
from pydantic_core import PydanticKnownError

from engine.definitions.mistakes import Entry, as_texts, check_entries
from engine.definitions.sources.labelled_lines import CONTENT
from engine.domain.language_tag import parse_tag
from engine.domain.model import Aggregation, Effort, TraitType
from engine.rules.rules import OPTIONAL_RULES
from engine.text.words import is_blank

# Formats with labels in each line, by file extension.
_LABELLED = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}
# Maximum length of a scenario's phrase, in characters: prompts and reports put it on one line.
MAX_PHRASE = 200
MAX_QUESTIONS = 8
# A length limit above any single reply of a model.
MAX_WORDS = 5000
INSIDE = "a path inside the model's own folder"


def _check_not_blank(value: str) -> str:
    if is_blank(value):
        raise ValueError("text that is not empty")
    return value


def _fold_spaces(value: str) -> str:
    return " ".join(_check_not_blank(value).split())


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


_Text = Annotated[str, Field(min_length=1), AfterValidator(_check_not_blank)]
_Texts = Annotated[tuple[_Text, ...], BeforeValidator(as_texts, json_schema_input_type=_Text | list[_Text])]
_Phrase = Annotated[str, Field(max_length=MAX_PHRASE), AfterValidator(_fold_spaces)]
_PhraseText = Annotated[str, Field(max_length=MAX_PHRASE)]
_Phrases = Annotated[
    tuple[_Phrase, ...], BeforeValidator(as_texts, json_schema_input_type=_PhraseText | list[_PhraseText])
]
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


class TraitEntry(DescribedEntry):
    """One axis of judgment, from its negative pole to its positive one."""

    type: TraitType
    """spectrum: where on a scale? topic: is this about X? claim: does this confirm a statement? outlier: is this
    unusual for its kind?"""
    key: str = Field(pattern=r"^[_-]*[a-z0-9][a-z0-9_-]*$", max_length=100)
    """Its name in files: lower-case letters, digits, '_' and '-'."""
    name: _Text | None = None
    """Its name for people. By default made from the key: personal_data becomes "Personal Data"."""
    description: str | None = None
    """The question for a judge, and what does not count. The field that matters most."""
    positive_label: _Text | None = None
    """The positive pole, quality 1, in a word or two, not in a number."""
    negative_label: _Text | None = None
    """The negative pole, quality 0. Name what the text is ("Obscure"), not only what is missing ("Not clear")."""
    kind: Literal["extrinsic"] | None = None
    """The platform's term for an author-defined trait: extrinsic, or left out."""
    aggregation: Aggregation = "mean"
    """How a platform aggregates the scores of many texts; samples do not depend on it."""
    positive_paraphrase: _Texts = ()
    """Other descriptions of a text at the positive pole: one text or a list."""
    negative_paraphrase: _Texts = ()
    """The same for the negative pole. Both should differ only in the trait."""


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
    without: _Texts = ()
    """For noise: subjects to leave out because they belong to the topic, such as cooking."""


class OwnTextsEntry(DescribedEntry):
    """The author's unlabelled texts. Samples take subjects and lengths from them, but the texts are no samples."""

    type: Literal["texts"]
    path: _PathInside
    """For texts: CSV, JSONL, Parquet, a .txt with a text a line, or a folder of .txt files."""
    field: _Text = "text"
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


class BriefEntry(DescribedEntry):
    """The purpose of the model. Each field is a text or a list of texts, and steers the prompts of a chat model."""

    intent: _Texts = ()
    """What the model is for."""
    domain: _Texts = ()
    """The kind of the texts, and their origin."""
    exemplars_of_good: _Texts = ()
    """What a good text does."""
    failure_modes: _Texts = ()
    """How real texts fail: as important as good texts."""
    edge_cases: _Texts = ()
    """Texts that are hard to judge: their pole, and why."""
    non_goals: _Texts = ()
    """Qualities that must not be judged."""


class LengthEntry(DescribedEntry):
    """A length of texts, in words."""

    name: _Phrase
    """Its name, such as one sentence."""
    min_words: int = Field(ge=1, le=MAX_WORDS)
    """The fewest words."""
    max_words: int = Field(ge=1, le=MAX_WORDS)
    """The most words."""


class ScenariosEntry(DescribedEntry):
    """Subjects, readers, forms and lengths. Both texts of a pair share theirs, so only the trait separates them."""

    pack: str | None = None
    """A file of data/scenarios, such as releases, for the fields that are empty here."""
    subjects: _Phrases = ()
    """Subjects of texts."""
    audiences: _Phrases = ()
    """Readers of texts."""
    forms: _Phrases = ()
    """Kinds of text."""
    lengths: tuple[LengthEntry, ...] = ()
    """Lengths of texts, in words."""


def _read_traits(value: object, validate: ValidatorFunctionWrapHandler) -> tuple[TraitEntry, ...]:
    traits: tuple[TraitEntry, ...] = () if value == "discover" else check_entries(validate(value))
    return traits


def _name_as_pack(value: object) -> object:
    return {"pack": value} if isinstance(value, str) else value


_Traits = Annotated[
    tuple[TraitEntry, ...],
    WrapValidator(
        _read_traits, json_schema_input_type=Annotated[list[TraitEntry], Field(min_length=1)] | Literal["discover"]
    ),
]
_Scenarios = Annotated[ScenariosEntry, BeforeValidator(_name_as_pack, json_schema_input_type=ScenariosEntry | str)]


class QuestionEntry(DescribedEntry):
    """A question that the chat judge answers about each text."""

    ask: Annotated[str, Field(max_length=MAX_PHRASE), AfterValidator(_fold_spaces)]
    """A yes-or-no question: "Does it name a competitor?"."""
    expect: Literal["yes", "no"]
    """The required answer: yes or no. A text with the other answer is rejected, and another one is requested."""


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
    additional_terms: _Texts = ()
    """Terms, such as terms of use, for the cards of the model and of its sets: a text or a list."""
    upstream_sources: _Texts = ()
    """Origin of the definition or the samples, for the same cards."""
    brief: BriefEntry = Field(default_factory=BriefEntry)
    """What is good, and how texts fail."""
    scenarios: _Scenarios = Field(default_factory=ScenariosEntry)
    """Subjects and readers of texts, or the name of a scenario pack. Empty fields are chosen by the words of the
    model."""
    questions: Annotated[tuple[QuestionEntry, ...], Field(max_length=MAX_QUESTIONS)] = ()
    """Questions that the chat judge answers about each text in its vote, eight at most. With a question there is a vote
    at every effort."""
    allow: _Rules = ()
    """Faults that the texts of this model may have, by reason code, such as placeholder for letters with gaps. Their
    rejection rules are off."""
    language: _Tag | None = None
    """The language of the texts, a tag of BCP 47 such as de, pt-BR or hi. By default it is detected from the samples,
    else from labels and descriptions, else from the brief; else it is English."""


def format_schema() -> str:
    """Return the JSON Schema of ``model.yaml``. A test compares it with docs/reference/schemas."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **ModelEntry.model_json_schema()}
    return json.dumps(schema, ensure_ascii=False, indent=2) + "\n"
