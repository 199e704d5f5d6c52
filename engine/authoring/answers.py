"""Parse an author's answers about a new model, and define the example that replaces missing answers."""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from yaml.reader import Reader

from engine.definitions.outline import ADDED_FILE, LABELLED_FILE
from engine.definitions.sources.labelled_lines import parse_number
from engine.definitions.sources.tables import CONTENT, SOURCE_URL
from engine.definitions.sources.text_files import EXTENSIONS
from engine.domain.characters import is_blank
from engine.domain.definition import Pole
from engine.domain.model import POLES
from engine.text.formatting import capitalise
from engine.text.words import fold_look

# Key of a trait without any letter that a key may have, as in Japanese.
FALLBACK_KEY = "trait"
SAMPLES_FILE = "samples.jsonl"
OWN_FILES = (SAMPLES_FILE, LABELLED_FILE, ADDED_FILE)
MAX_KEY_CHARACTERS = 100
# A longer text is not a label, but a description of texts at the pole.
MAX_LABEL_WORDS, MAX_LABEL_CHARACTERS = 4, 40


@dataclass(frozen=True, slots=True)
class PoleAnswer:
    """One pole in the author's words, and example texts; ``paraphrase`` may be empty."""

    label: str
    paraphrase: str = ""
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answers:
    """Kind of texts, the trait with its question, and its poles; ``question`` may be empty.

    ``unlabelled_texts`` is a file anywhere on this machine, ``field`` the name of its text field.
    """

    texts: str
    trait: str
    positive: PoleAnswer
    negative: PoleAnswer
    question: str = ""
    unlabelled_texts: Path | None = None
    field: str = "text"

    @property
    def key(self) -> str:
        """The trait's key, made from its name."""
        return make_key(self.trait)

    def pole(self, pole: Pole) -> PoleAnswer:
        """Return the answer for a pole."""
        return self.positive if pole == "positive" else self.negative

    @property
    def summary(self) -> str:
        """The model in one line."""
        return f"{self.texts}: {self.trait}"

    @property
    def description(self) -> str:
        """The trait's question; without one a sentence that describes the poles."""
        poles = (self.pole(pole) for pole in POLES)
        clauses = [": ".join(filter(None, (pole.label, pole.paraphrase.rstrip(".")))) for pole in poles]
        return self.question or _finish("; ".join(clauses))


# Content of a file without answers; validation recognizes by it that the file was not filled in.
EXAMPLE = Answers(
    texts="Replies of a shop's support team to its customers",
    trait="Warmth",
    question="Whether the reply treats the customer as a person. Whether the request is granted does not count.",
    positive=PoleAnswer("Warm", "Thanks the customer, takes the trouble seriously and offers help."),
    negative=PoleAnswer("Cold", "Speaks in rules and case numbers and takes no notice of the person."),
)


def make_key(name: str) -> str:
    """Make the key of a trait from its name: "Größe & Art" becomes ``grosse_art``."""
    latin = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
    key = "_".join(re.findall(r"[a-z0-9]+", latin))[:MAX_KEY_CHARACTERS].strip("_") or FALLBACK_KEY
    # A line of samples already has fields of these names.
    return f"{key}_{FALLBACK_KEY}" if key in (CONTENT, SOURCE_URL) else key


def clean_answer(text: str) -> str:
    """Remove characters that no file may contain, and surplus space, from typed text.

    Raises:
        UnicodeError: the text has bytes that are not characters in the terminal's encoding.
    """
    text.encode()
    # Some terminals paste a byte order mark before a text. YAML allows it, so it is removed here.
    return " ".join(Reader.NON_PRINTABLE.sub(" ", unicodedata.normalize("NFC", text.replace("\ufeff", ""))).split())


def read_trait(text: str) -> tuple[str, str]:
    """Parse a trait into its name and, after a colon, its question ("" if there is none).

    Raises:
        ValueError: it has no name, or its name is a sentence.
    """
    return _split_answer(text, "Begin with a word or two that name it; after a colon ask the question")


def read_pole(text: str, other: PoleAnswer | None = None) -> PoleAnswer:
    """Parse a pole into its label and, after a colon, a description of its texts.

    Args:
        other: the other pole, if it is known.

    Raises:
        ValueError: it has no label, or its label is a sentence, a number or the label of the other pole.
    """
    label, paraphrase = _split_answer(
        text, "Begin with a word or two for this end; after a colon say what a text there does"
    )
    if parse_number(label) is not None:
        raise ValueError(f"{label} would read as a quality. Name this end in a word or two")
    if other and fold_look(label) == fold_look(other.label):
        raise ValueError(f"{other.label!r} is the other end already, and looks the same. Name this end in other words")
    return PoleAnswer(label, paraphrase)


def read_file(text: str) -> Path | None:
    """Parse the path of a file of unlabelled texts; None if the answer is empty.

    Raises:
        ValueError: the file does not exist, has another type, or has the name of one of the model's own files.
    """
    path = Path(text.strip("'\"")).expanduser()
    if not text:
        return None
    if not path.is_file():
        raise ValueError(f"There is no file {path}")
    if path.suffix.lower().removeprefix(".") not in EXTENSIONS or path.name in OWN_FILES:
        raise ValueError(
            f"{path.name} cannot be it. It is a .csv, .jsonl, .ndjson, .parquet or .txt file of another name"
        )
    return path


def _split_answer(text: str, advice: str) -> tuple[str, str]:
    """Split "Warm: thanks and offers help" at its first colon."""
    first, _, rest = text.replace("：", ":", 1).partition(":")
    name = first.strip()
    if is_blank(name) or len(name) > MAX_LABEL_CHARACTERS or len(name.split()) > MAX_LABEL_WORDS:
        raise ValueError(advice)
    return name, _finish(rest.strip())


def _finish(sentence: str) -> str:
    """Capitalise a sentence and add a missing final full stop, if its script has capitals."""
    has_case = sentence[:1].lower() != sentence[:1].upper()
    is_finished = sentence[-1:] in ".!?…" or not has_case
    return capitalise(sentence if is_finished else f"{sentence}.")
