"""Reads the scenario packs of ``data/scenarios/``: lists of subjects, audiences and forms, and lengths for all."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from engine.definitions.mistakes import Entry, check_entries, validate_document
from engine.definitions.schema import LengthEntry
from engine.definitions.yaml_document import parse_yaml
from engine.domain.model import Length
from engine.errors import DefinitionError, Problem, StoreError
from engine.settings import SHIPPED_ROOT

SCENARIOS_FOLDER = SHIPPED_ROOT / "data" / "scenarios"
LENGTHS_FILE = "lengths.yaml"
FALLBACK_PACK = "everyday"

Entries = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], AfterValidator(check_entries)]


class Pack(Entry):
    """One scenario pack as its file has it.

    ``words`` are those of its field. ``kinds`` are the kinds of text that it is made for; a pack without any has
    subjects for every kind of text of its field.
    """

    closed: ClassVar[bool] = True

    kinds: tuple[str, ...] = ()
    words: tuple[str, ...]
    subjects: Entries
    audiences: Entries
    forms: Entries


@dataclass(frozen=True, slots=True)
class Packs:
    """All scenario packs of a folder, by name, and the lengths that they share."""

    packs: Mapping[str, Pack]
    lengths: tuple[Length, ...]


def load_packs(folder: Path) -> Packs:
    """Loads the scenario packs of a folder.

    Raises:
        DefinitionError: a file is not a pack, or the lengths or the fallback pack are missing.
        StoreError: the folder cannot be read.
    """
    try:
        contents = tuple((path.name, path.read_bytes()) for path in sorted(folder.glob("*.yaml")))
    except OSError as error:
        raise StoreError(f"{folder} cannot be read: {error}") from error
    return _parse_packs(str(folder), contents)


def list_pack_names() -> list[str]:
    """Lists the names of the shipped packs, sorted."""
    return sorted(path.stem for path in SCENARIOS_FOLDER.glob("*.yaml") if path.name != LENGTHS_FILE)


# Cached for all runs of the process: parsing the YAML takes 70 ms.
@lru_cache(maxsize=4)
def _parse_packs(folder: str, contents: tuple[tuple[str, bytes], ...]) -> Packs:
    documents = {name: parse_yaml(name, content) for name, content in contents}
    lengths: tuple[LengthEntry, ...] = ()
    if document := documents.pop(LENGTHS_FILE, None):
        lengths, _ = validate_document(document, tuple[LengthEntry, ...])
    packs = {name.removesuffix(".yaml"): validate_document(document, Pack)[0] for name, document in documents.items()}
    if not lengths or FALLBACK_PACK not in packs:
        raise DefinitionError(
            folder, [Problem(folder, None, "folder", "a part", f"{LENGTHS_FILE} and {FALLBACK_PACK}.yaml")]
        )
    return Packs(packs, tuple(Length(**length.model_dump()) for length in lengths))
