"""Define the fields of ``model.yaml``, with the JSON Schema by which editors complete them.

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

from engine.definitions.mistakes import Entry, as_texts, check_entries
from engine.definitions.sources.labelled_lines import CONTENT
from engine.domain.language_tag import parse_tag
from engine.domain.model import Aggregation, Effort, TraitType
from engine.text.words import is_blank

# Files whose lines have labels of their own, by their ending.
_LABELLED = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}
# The longest phrase of a scenario, in characters: prompts and reports put it on one line.
MAX_PHRASE = 200
MAX_QUESTIONS = 8
# More words than a model writes in one reply.
MAX_WORDS = 5000
INSIDE = "a path inside the model's own folder"


def _check_seen(value: str) -> str:
    if is_blank(value):
        raise ValueError("text that is not empty")
    return value


def _fold_spaces(value: str) -> str:
    return " ".join(_check_seen(value).split())


def _check_inside(path: str) -> str:
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts or "\\" in path:
        raise ValueError(INSIDE)
    return path


def _check_unlabelled(path: str) -> str:
    if labelled := _LABELLED.get(PurePosixPath(path).suffix.lower()):
        raise ValueError(f"a text file. The type of this one is {labelled}, since its lines have labels of their own")
    return path


_Text = Annotated[str, Field(min_length=1), AfterValidator(_check_seen)]
_Texts = Annotated[tuple[_Text, ...], BeforeValidator(as_texts, json_schema_input_type=_Text | list[_Text])]
_Phrase = Annotated[str, Field(max_length=MAX_PHRASE), AfterValidator(_fold_spaces)]
_PhraseText = Annotated[str, Field(max_length=MAX_PHRASE)]
_Phrases = Annotated[
    tuple[_Phrase, ...], BeforeValidator(as_texts, json_schema_input_type=_PhraseText | list[_PhraseText])
]
_Tag = Annotated[str, AfterValidator(parse_tag)]
_PathInside = Annotated[str, Field(min_length=1), AfterValidator(_check_inside)]
# All scalars of a file are read as text: a number too.
_Quality = Annotated[
    str, WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "string"}]})
]


class DescribedEntry(Entry):
    """An object of fields, each with its description below it."""

    model_config = ConfigDict(use_attribute_docstrings=True)


class TraitEntry(DescribedEntry):
    """One axis of judgment, from its negative pole to its positive one."""

    type: TraitType
    """spectrum: where on a scale? topic: is this about X? claim: does this confirm a statement? outlier: is this
    unusual for its kind?"""
    key: str = Field(pattern=r"^[_-]*[a-z0-9][a-z0-9_-]*$", max_length=100)
    """Its name in files: lower-case letters, digits, '_' and '-'."""
    name: _Text | None = None
    """Its name for people. Without it the key: personal_data becomes "Personal Data"."""
    description: str | None = None
    """The question that a judge would be asked, and what does not count. The field that matters most."""
    positive_label: _Text | None = None
    """The positive pole, quality 1, in a word or two, not in a number."""
    negative_label: _Text | None = None
    """The negative pole, quality 0. Name what stands there ("Obscure"), not only what is missing ("Not clear")."""
    kind: Literal["extrinsic"] | None = None
    """The platform's word for a trait that an author defines: extrinsic, or left out."""
    aggregation: Aggregation = "mean"
    """How a platform sums up the scores of many texts; samples do not depend on it."""
    positive_paraphrase: _Texts = ()
    """What a text at the positive pole is like, in other words: one text or a list."""
    negative_paraphrase: _Texts = ()
    """The same for the negative pole. The two should differ in the trait, and in nothing else."""


class MappingEntry(DescribedEntry):
    """The trait that a field of a source feeds."""

    trait: str
    """The key of a trait of this model."""


class TextMappingEntry(MappingEntry):
    """A trait that all texts of a source label."""

    quality: _Quality | None = None
    """Of a source of the type file alone: the quality of all its texts, from 0 to 1, a quality word or a label of the
    trait. Without it 1, the positive pole."""


def _read_target(value: object, validate: ValidatorFunctionWrapHandler) -> MappingEntry | None:
    if value == CONTENT:
        return None
    if not isinstance(value, dict):
        raise ValueError("its trait, as in {trait: KEY}, or content, for the field that has the text")
    target: MappingEntry = validate(value)
    return target


# None for the field that has the text.
_Target = Annotated[
    MappingEntry | None, WrapValidator(_read_target, json_schema_input_type=MappingEntry | Literal["content"])
]


class LinesEntry(DescribedEntry):
    """A file of labelled texts, one a line."""

    type: Literal["jsonl", "csv"]
    """jsonl and csv: labelled texts, one a line. file: a text file, each passage of which is a sample. noise: ordinary
    texts that come with the code, as negative samples of a topic. texts: your own texts without labels. github_csv,
    huggingface and url are legal and skipped."""
    path: _PathInside
    """A file in the model's own folder; noise has none."""
    mapping: Annotated[dict[str, _Target], AfterValidator(check_entries)] | None = None
    """Which field or column labels which trait, and where the text is not in content, which has it: text: content.
    Without it each trait's own key. Of a file the names stand for nothing, and without a mapping its texts label the
    model's only trait. Noise has none: it labels every topic."""


class TextEntry(DescribedEntry):
    """A text file, each passage of which is a sample."""

    type: Literal["file"]
    path: Annotated[_PathInside, AfterValidator(_check_unlabelled)]
    mapping: Annotated[dict[str, TextMappingEntry], AfterValidator(check_entries)] | None = None
    split: Literal["paragraphs", "lines"] | None = None
    """Of a file: whether a passage is a paragraph, between blank lines, as when nothing is said, or a line."""


class NoiseEntry(DescribedEntry):
    """Ordinary texts that come with the code, as negative samples of a topic."""

    type: Literal["noise"]
    without: _Texts = ()
    """Of noise: subjects that lie inside the topic and are left out, such as cooking."""


class OwnTextsEntry(DescribedEntry):
    """The author's own texts without labels: what samples are to be like and about, and none of them."""

    type: Literal["texts"]
    path: _PathInside
    """Of texts: CSV, JSONL, Parquet, a .txt with a text a line, or a folder of .txt files."""
    field: _Text = "text"
    """Of texts: the column or field that has the text."""


class SkippedEntry(DescribedEntry):
    """A source that is legal and not read here; its other fields are not looked at."""

    model_config = ConfigDict(extra="allow")

    type: Literal["github_csv", "huggingface", "url"]

    @property
    def place(self) -> str | None:
        """Where it would come from, where that is said."""
        given = self.model_extra or {}
        place = given.get("path") or given.get("url")
        return place if isinstance(place, str) else None


SourceEntry = Annotated[LinesEntry | TextEntry | NoiseEntry | OwnTextsEntry | SkippedEntry, Field(discriminator="type")]


class BriefEntry(DescribedEntry):
    """What is to be judged: each field is a text or a list of texts, and steers the prompts of a chat model."""

    intent: _Texts = ()
    """What the model is for."""
    domain: _Texts = ()
    """What kind of texts, and where they come from."""
    exemplars_of_good: _Texts = ()
    """What a good text does."""
    failure_modes: _Texts = ()
    """How real texts fail: as important as what is good."""
    edge_cases: _Texts = ()
    """Texts that are hard to place: where they belong, and why."""
    non_goals: _Texts = ()
    """What must not be judged."""


class LengthEntry(DescribedEntry):
    """A length of texts, in words."""

    name: _Phrase
    """Its name, such as one sentence."""
    min_words: int = Field(ge=1, le=MAX_WORDS)
    """The fewest words."""
    max_words: int = Field(ge=1, le=MAX_WORDS)
    """The most words."""


class ScenariosEntry(DescribedEntry):
    """What texts are about, and for whom: both texts of a pair share it, so that only the trait separates them."""

    pack: str | None = None
    """A file of data/scenarios, such as releases, for what is not said here."""
    subjects: _Phrases = ()
    """What a text is about."""
    audiences: _Phrases = ()
    """Who reads it."""
    forms: _Phrases = ()
    """What kind of text it is."""
    lengths: tuple[LengthEntry, ...] = ()
    """How long it is, in words."""


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
    """What can be answered with yes or no: "Does it name a competitor?"."""
    expect: Literal["yes", "no"]
    """The answer that a text must have: yes or no. A text with the other one is rejected, and made again."""


class ModelEntry(DescribedEntry):
    """A model: one standard of judgment, made of traits. It has none while they are to be discovered."""

    model_config = ConfigDict(title="model.yaml of Exemplars")

    traits: _Traits
    """The axes of judgment; each gets samples of its own."""
    description: str | None = None
    """One line on what the model judges; it goes into the prompts."""
    effort: Effort | None = None
    """The effort of runs that name none; without it high."""
    sources: tuple[SourceEntry, ...] = ()
    """Where authored samples come from. Six or more a pole make the embedded model far better."""
    additional_terms: _Texts = ()
    """Shown on the model's card and on that of its sets, such as terms of use: a text or a list."""
    upstream_sources: _Texts = ()
    """Shown likewise: where the definition or the samples come from."""
    brief: BriefEntry = Field(default_factory=BriefEntry)
    """What is good, and what goes wrong."""
    scenarios: _Scenarios = Field(default_factory=ScenariosEntry)
    """What texts are about and for whom, or the name of a scenario pack. What is left out is chosen by the model's own
    words."""
    questions: Annotated[tuple[QuestionEntry, ...], Field(max_length=MAX_QUESTIONS)] = ()
    """Questions that the chat judge answers about each text in its vote, eight at most; there is then a vote at every
    effort."""
    language: _Tag | None = None
    """The language of the texts, a tag of BCP 47 such as de, pt-BR or hi. Without it the samples decide, else labels
    and descriptions, else the brief, else English."""


def format_schema() -> str:
    """Format the JSON Schema of ``model.yaml``; docs/reference/schemas has it, and a test compares."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **ModelEntry.model_json_schema()}
    return json.dumps(schema, ensure_ascii=False, indent=2) + "\n"
