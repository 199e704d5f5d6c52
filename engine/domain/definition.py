"""Define the objects that an author writes into ``model.yaml``: traits, brief, scenarios and questions.

Each class is both the form of an object in the file and the value that the rest of the code uses. The text below a
field is its description in the JSON Schema and in the file that ``exemplars new`` writes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Annotated, Any, Literal, Protocol, get_args

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator
from pydantic.dataclasses import dataclass
from pydantic_core import ArgsKwargs, PydanticKnownError

from engine.domain.characters import is_blank

Pole = Literal["positive", "negative"]
TraitType = Literal["spectrum", "topic", "claim", "outlier"]
Aggregation = Literal["mean", "max", "min", "none"]

TRAIT_TYPES: tuple[str, ...] = get_args(TraitType)
# Maximum length of a scenario's phrase, in characters: prompts and reports put it on one line.
MAX_PHRASE = 200
# A length limit above any single reply of a model.
MAX_WORDS = 5000
AUTHORED = ConfigDict(use_attribute_docstrings=True)


def check_not_blank(value: str) -> str:
    """Return a text with a visible character.

    Raises:
        ValueError: it has none.
    """
    if is_blank(value):
        raise ValueError("text that is not empty")
    return value


def _fold_spaces(value: str) -> str:
    return " ".join(check_not_blank(value).split())


def as_texts(value: object) -> object:
    """Wrap a single text into a tuple; return any other value unchanged."""
    return (value,) if isinstance(value, str) else value


def _check_words(words: int, info: ValidationInfo) -> int:
    # Only in a file: the lengths of an author's samples may be longer.
    if info.context and words < 1:
        raise PydanticKnownError("greater_than_equal", {"ge": 1})
    if info.context and words > MAX_WORDS:
        raise PydanticKnownError("less_than_equal", {"le": MAX_WORDS})
    return words


Text = Annotated[str, Field(min_length=1), AfterValidator(check_not_blank)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(as_texts, json_schema_input_type=Text | list[Text])]
Phrase = Annotated[str, Field(max_length=MAX_PHRASE), AfterValidator(_fold_spaces)]
_PhraseText = Annotated[str, Field(max_length=MAX_PHRASE)]
Phrases = Annotated[
    tuple[Phrase, ...], BeforeValidator(as_texts, json_schema_input_type=_PhraseText | list[_PhraseText])
]
_Words = Annotated[int, AfterValidator(_check_words), Field(json_schema_extra={"minimum": 1, "maximum": MAX_WORDS})]


class FieldNotes(Protocol):
    """Receiver of the unknown fields of an object, which validation gets as its context."""

    def note_unknown_fields(self, value: Mapping[str, object], known: Sequence[str]) -> None:
        """Report the fields of an object that are not among the known ones."""


def take_fields(value: Any, known: Sequence[str], notes: FieldNotes | None) -> dict[str, Any]:
    """Return the fields of an object that have a value, and report unknown ones to ``notes``.

    Raises:
        ValueError: the value is not an object.
    """
    if not isinstance(value, dict):
        raise ValueError(f"an object of fields: {', '.join(known)}")
    if notes:
        notes.note_unknown_fields(value, known)
    return {word: entry for word, entry in value.items() if entry is not None}


class Authored:
    """An object of the file. A field without a value counts as missing.

    An unknown field that is spelt nearly like a known one is a mistake; any other is reported as skipped.
    """

    @model_validator(mode="before")
    @classmethod
    def _take_fields(cls, value: Any, info: ValidationInfo) -> Any:
        # The class before it gets its slots, which pydantic has not completed: only dataclasses know its fields.
        known = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        return value if isinstance(value, ArgsKwargs) else take_fields(value, known, info.context)


@dataclass(frozen=True, slots=True, config=AUTHORED)
class Trait(Authored):
    """One axis of judgment, from its negative pole to its positive one.

    A missing name is derived from the key, and a missing label from the opposite label, the name or the type.
    """

    type: TraitType
    """spectrum: where on a scale? topic: is this about X? claim: does this confirm a statement? outlier: is this
    unusual for its kind?"""
    key: str = Field(pattern=r"^[_-]*[a-z0-9][a-z0-9_-]*$", max_length=100)
    """Its name in files: lower-case letters, digits, '_' and '-'."""
    name: Text = ""
    """Its name for people. By default made from the key: personal_data becomes "Personal Data"."""
    description: str = ""
    """The question for a judge, and what does not count. The field that matters most."""
    positive_label: Text = ""
    """The positive pole, quality 1, in a word or two, not in a number."""
    negative_label: Text = ""
    """The negative pole, quality 0. Name what the text is ("Obscure"), not only what is missing ("Not clear")."""
    kind: Literal["extrinsic"] | None = None
    """The platform's term for an author-defined trait: extrinsic, or left out."""
    aggregation: Aggregation = "mean"
    """How a platform aggregates the scores of many texts; samples do not depend on it."""
    positive_paraphrase: Texts = ()
    """Other descriptions of a text at the positive pole: one text or a list."""
    negative_paraphrase: Texts = ()
    """The same for the negative pole. Both should differ only in the trait."""

    def __post_init__(self) -> None:
        name = self.name or self.key.replace("_", " ").replace("-", " ").title()
        positive, negative = self.positive_label, self.negative_label
        derived = {
            "spectrum": (f"Not {negative.lower()}" if negative else name, f"Not {(positive or name).lower()}"),
            "topic": (f"About {name.lower()}", f"Not about {name.lower()}"),
            "claim": ("Agrees", "Contradicts"),
            "outlier": ("Unusual", "Typical"),
        }[self.type]
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "positive_label", positive or derived[0])
        object.__setattr__(self, "negative_label", negative or derived[1])

    @property
    def descriptions(self) -> tuple[str, ...]:
        """Sentences about the trait: the description, and the paraphrases of both poles."""
        return self.description, *self.positive_paraphrase, *self.negative_paraphrase

    def label(self, pole: Pole) -> str:
        """Return the label of a pole."""
        return self.positive_label if pole == "positive" else self.negative_label

    def paraphrase(self, pole: Pole) -> tuple[str, ...]:
        """Return the author's paraphrases of a pole, possibly none."""
        return self.positive_paraphrase if pole == "positive" else self.negative_paraphrase


@dataclass(frozen=True, slots=True, config=AUTHORED)
class Brief(Authored):
    """The purpose of the model. Each field is a text or a list of texts, and steers the prompts of a chat model."""

    intent: Texts = ()
    """What the model is for."""
    domain: Texts = ()
    """The kind of the texts, and their origin."""
    exemplars_of_good: Texts = ()
    """What a good text does."""
    failure_modes: Texts = ()
    """How real texts fail: as important as good texts."""
    edge_cases: Texts = ()
    """Texts that are hard to judge: their pole, and why."""
    non_goals: Texts = ()
    """Qualities that must not be judged."""

    @property
    def in_scope(self) -> tuple[str, ...]:
        """All fields about texts that are or may be requested: everything except ``non_goals``."""
        return *self.intent, *self.domain, *self.exemplars_of_good, *self.failure_modes, *self.edge_cases


@dataclass(frozen=True, slots=True, config=AUTHORED)
class Length(Authored):
    """A length of texts, in words."""

    name: Phrase
    """Its name, such as one sentence."""
    min_words: _Words
    """The fewest words."""
    max_words: _Words
    """The most words."""

    @property
    def words(self) -> str:
        """The range in words: “7 to 13 words”, which is also the name of a length derived from seeds."""
        return f"{self.min_words} to {self.max_words} words"


@dataclass(frozen=True, slots=True, config=AUTHORED)
class OwnScenarios(Authored):
    """Subjects, readers, forms and lengths. Both texts of a pair share theirs, so only the trait separates them.

    A field that is empty is chosen by the words of the model.
    """

    pack: str | None = None
    """A file of data/scenarios, such as releases, for the fields that are empty here."""
    subjects: Phrases = ()
    """Subjects of texts."""
    audiences: Phrases = ()
    """Readers of texts."""
    forms: Phrases = ()
    """Kinds of text."""
    lengths: tuple[Length, ...] = ()
    """Lengths of texts, in words."""


@dataclass(frozen=True, slots=True, config=AUTHORED)
class Question(Authored):
    """A question that the chat judge answers about each text."""

    ask: Phrase
    """A yes-or-no question: "Does it name a competitor?"."""
    expect: Literal["yes", "no"]
    """The required answer: yes or no. A text with the other answer is rejected, and another one is requested."""
