"""What an author says of a new model before its file is written, and the example that stands where nothing is said."""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from yaml.reader import Reader

from engine.definitions.outline import ADDED_FILE, LABELLED_FILE
from engine.definitions.sources.labelled_lines import CONTENT, SOURCE_URL, parse_number
from engine.definitions.sources.text_files import WALKS
from engine.domain.model import POLES, Pole
from engine.text.formatting import capitalise
from engine.text.words import fold_look, is_blank

# Where no letter of a name can stand in a key, as in Japanese.
FALLBACK_KEY = "trait"
SAMPLES_FILE = "samples.jsonl"
OWN_FILES = (SAMPLES_FILE, LABELLED_FILE, ADDED_FILE)
MAX_KEY_CHARACTERS = 100
# More is no label, but what a text at the pole is like.
MAX_LABEL_WORDS, MAX_LABEL_CHARACTERS = 4, 40


@dataclass(frozen=True, slots=True)
class PoleAnswer:
    """One pole in the author's words, and texts that stand there; ``paraphrase`` may be empty."""

    label: str
    paraphrase: str = ""
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answers:
    """What the texts are, the trait with its question, and its poles; ``question`` may be empty.

    ``own_texts`` is a file of texts without labels, anywhere on this machine, ``field`` what the text is called in it.
    """

    texts: str
    trait: str
    positive: PoleAnswer
    negative: PoleAnswer
    question: str = ""
    own_texts: Path | None = None
    field: str = "text"

    @property
    def key(self) -> str:
        """The trait's key, of the letters of its name that a key may have."""
        return make_key(self.trait)

    def pole(self, pole: Pole) -> PoleAnswer:
        """Return what was said of a pole."""
        return self.positive if pole == "positive" else self.negative

    @property
    def summary(self) -> str:
        """The model in one line."""
        return f"{self.texts}: {self.trait}"

    @property
    def description(self) -> str:
        """The trait's question or, where none was asked, what its poles are."""
        poles = (self.pole(pole) for pole in POLES)
        said = [": ".join(filter(None, (pole.label, pole.paraphrase.rstrip(".")))) for pole in poles]
        return self.question or _finish("; ".join(said))


# What stands in a file that nothing was said of; validation tells by it that the file was not filled in.
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
    # A line of samples has fields of these names already.
    return f"{key}_{FALLBACK_KEY}" if key in (CONTENT, SOURCE_URL) else key


def clean_answer(text: str) -> str:
    """Clean what was typed of what no file may hold, and of the space around it.

    Raises:
        UnicodeError: it has bytes that are no characters of the terminal's encoding.
    """
    text.encode()
    # A byte order mark, which YAML allows, is what some terminals paste before a text.
    return " ".join(Reader.NON_PRINTABLE.sub(" ", unicodedata.normalize("NFC", text.replace("\ufeff", ""))).split())


def read_trait(text: str) -> tuple[str, str]:
    """Read a trait: its name and, after a colon, the question that it asks, "" where there is none.

    Raises:
        ValueError: it has no name, or one that is a sentence.
    """
    return _split_answer(text, "Begin with a word or two that name it; after a colon ask the question")


def read_pole(text: str, other: PoleAnswer | None = None) -> PoleAnswer:
    """Read a pole: its label and, after a colon, what a text there is like.

    Args:
        other: the other pole, if that is known.

    Raises:
        ValueError: it has no label, one that is a sentence or a number, or that of the other pole.
    """
    label, paraphrase = _split_answer(
        text, "Begin with a word or two for this end; after a colon say what a text there does"
    )
    if parse_number(label) is not None:
        raise ValueError(f"{label} would read as a quality. Say in a word or two what stands at this end")
    if other and fold_look(label) == fold_look(other.label):
        raise ValueError(f"{other.label!r} is the other end already, and looks the same. Name this end in other words")
    return PoleAnswer(label, paraphrase)


def read_file(text: str) -> Path | None:
    """Read the path of a file of texts without labels; None where none is given.

    Raises:
        ValueError: there is no such file, or it cannot be one of texts, or not beside the model's own files.
    """
    path = Path(text.strip("'\"")).expanduser()
    if not text:
        return None
    if not path.is_file():
        raise ValueError(f"There is no file {path}")
    if path.suffix.lower().removeprefix(".") not in WALKS or path.name in OWN_FILES:
        raise ValueError(
            f"{path.name} cannot be it. It is a .csv, .jsonl, .ndjson, .parquet or .txt file of another name"
        )
    return path


def _split_answer(text: str, asked: str) -> tuple[str, str]:
    """Split "Warm: thanks and offers help" at its first colon."""
    first, _, rest = text.replace("：", ":", 1).partition(":")
    name = first.strip()
    if is_blank(name) or len(name) > MAX_LABEL_CHARACTERS or len(name.split()) > MAX_LABEL_WORDS:
        raise ValueError(asked)
    return name, _finish(rest.strip())


def _finish(sentence: str) -> str:
    """Has a sentence begin with a capital and end with a mark, where its script has these."""
    has_case = sentence[:1].lower() != sentence[:1].upper()
    ends = sentence[-1:] in ".!?…" or not has_case
    return capitalise(sentence if ends else f"{sentence}.")
