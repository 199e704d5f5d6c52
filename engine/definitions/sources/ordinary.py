"""Reads the ordinary texts of ``data/noise/``, which lie outside of most topics: the seeds of a ``noise`` source."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from engine.definitions.mistakes import validate_document
from engine.definitions.sources.labelled_lines import Line
from engine.definitions.sources.passages import FixedLabel
from engine.definitions.yaml_document import parse_yaml
from engine.domain.model import Seed
from engine.settings import SHIPPED_ROOT

NOISE_PATH = "data/noise"
NOISE_FOLDER = SHIPPED_ROOT / NOISE_PATH


@dataclass(frozen=True, slots=True)
class OrdinaryText:
    """A committed text; ``line`` is that of its file."""

    line: int
    subject: str
    text: str


def list_noise_languages() -> list[str]:
    """Lists the languages that there are ordinary texts in: codes of ISO 639, sorted."""
    return sorted(path.stem for path in NOISE_FOLDER.glob("*.yaml"))


@cache
def read_ordinary(code: str) -> tuple[OrdinaryText, ...]:
    """Reads the ordinary texts of one of ``list_noise_languages``, in the order of their lines."""
    name = name_noise_file(code)
    document = parse_yaml(name, (NOISE_FOLDER / f"{code}.yaml").read_bytes())
    subjects, _ = validate_document(document, dict[str, tuple[str, ...]])
    return tuple(
        OrdinaryText(document.line((subject, index)) or 1, subject, text)
        for subject, texts in subjects.items()
        for index, text in enumerate(texts)
    )


def name_noise_file(code: str) -> str:
    """Names the file of a language's ordinary texts as messages and places do."""
    return f"{NOISE_PATH}/{code}.yaml"


def draw_ordinary(texts: Sequence[OrdinaryText], without: Collection[str]) -> tuple[OrdinaryText, ...]:
    """Draws one text of each subject but those left out, in the order of their lines."""
    first = {item.subject: item for item in reversed(texts)}
    return tuple(item for item in texts if item is first[item.subject] and item.subject not in without)


def walk_ordinary(
    name: str, texts: Sequence[OrdinaryText], labels: Sequence[FixedLabel], start: int = 1
) -> Iterator[Line]:
    """Yields drawn texts one by one from the line ``start``."""
    for item in texts:
        if item.line >= start:
            place = f"{name}:{item.line}"
            seeds = tuple(Seed(label.trait.key, item.text, label.quality, place) for label in labels)
            yield Line(item.line, seeds)
