"""Defines the fields of ``model.yaml``."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticCustomError

from engine.definitions.mistakes import Entry, check_entries
from engine.domain.language_tag import parse_tag
from engine.domain.model import Aggregation, Effort, TraitType

SKIPPED_SOURCES = ("github_csv", "huggingface", "url", "file", "noise")
# The longest phrase of a scenario, in characters: prompts and reports put it on one line.
MAX_PHRASE = 200
# More words than a model writes in one reply.
MAX_WORDS = 5000


def _as_texts(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _fold_spaces(value: str) -> str:
    folded = " ".join(value.split())
    if not folded:
        raise PydanticCustomError("no_text", "text that is not empty")
    return folded


_Phrase = Annotated[str, AfterValidator(_fold_spaces), Field(max_length=MAX_PHRASE)]
_Texts = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_as_texts)]
_Phrases = Annotated[tuple[_Phrase, ...], BeforeValidator(_as_texts)]


class TraitEntry(Entry):
    """A trait object as written in the file."""

    type: TraitType
    key: str = Field(pattern=r"^[a-z0-9_-]+$", max_length=100)
    name: str | None = None
    description: str | None = None
    positive_label: str | None = None
    negative_label: str | None = None
    kind: Literal["extrinsic"] | None = None
    aggregation: Aggregation = "mean"
    positive_paraphrase: _Texts = ()
    negative_paraphrase: _Texts = ()


class MappingEntry(Entry):
    """The trait that a field of a source feeds."""

    trait: str


class SourceEntry(Entry):
    """A source as written in the file; if its type is not read here, only its type and path."""

    type: Literal["jsonl", "csv", "github_csv", "huggingface", "url", "file", "noise"]
    path: str | None = None
    mapping: Annotated[dict[str, MappingEntry], AfterValidator(check_entries)] | None = None


class BriefEntry(Entry):
    """The brief as written in the file: each field is a text or a list of texts."""

    intent: _Texts = ()
    domain: _Texts = ()
    exemplars_of_good: _Texts = ()
    failure_modes: _Texts = ()
    edge_cases: _Texts = ()
    non_goals: _Texts = ()


class LengthEntry(Entry):
    """A length as written in the file, in words."""

    name: _Phrase
    min_words: int = Field(ge=1, le=MAX_WORDS)
    max_words: int = Field(ge=1, le=MAX_WORDS)


class ScenariosEntry(Entry):
    """The scenarios as written in the file: a pack, values of the model's own, or both."""

    pack: str | None = None
    subjects: _Phrases = ()
    audiences: _Phrases = ()
    forms: _Phrases = ()
    lengths: tuple[LengthEntry, ...] = ()


def _read_traits(value: object, validate: ValidatorFunctionWrapHandler) -> tuple[TraitEntry, ...]:
    traits: tuple[TraitEntry, ...] = () if value == "discover" else check_entries(validate(value))
    return traits


def _keep_place(value: object) -> object:
    """Reduces a source that is not read here to its type and path: its other fields are not ours to check."""
    if not isinstance(value, dict) or value.get("type") not in SKIPPED_SOURCES:
        return value
    place = value.get("path") or value.get("url")
    return {"type": value["type"], "path": place if isinstance(place, str) else None}


def _name_as_pack(value: object) -> object:
    return {"pack": value} if isinstance(value, str) else value


def _as_tag(value: str) -> str:
    try:
        return parse_tag(value)
    except ValueError as error:
        raise PydanticCustomError("language_tag", "{allowed}", {"allowed": str(error)}) from None


class ModelEntry(Entry):
    """The whole file as written; it has no traits while they are to be discovered."""

    traits: Annotated[tuple[TraitEntry, ...], WrapValidator(_read_traits)]
    description: str | None = None
    effort: Effort | None = None
    sources: tuple[Annotated[SourceEntry, BeforeValidator(_keep_place)], ...] = ()
    additional_terms: _Texts = ()
    upstream_sources: _Texts = ()
    brief: BriefEntry = Field(default_factory=BriefEntry)
    scenarios: Annotated[ScenariosEntry, BeforeValidator(_name_as_pack)] = Field(default_factory=ScenariosEntry)
    language: Annotated[str, AfterValidator(_as_tag)] | None = None
