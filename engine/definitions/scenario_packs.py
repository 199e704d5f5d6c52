"""Read the scenario packs of ``data/scenarios/``: lists of subjects, audiences and forms, and shared lengths."""

from collections.abc import Mapping
from dataclasses import field
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from engine.definitions.mistakes import ClosedEntry, check_entries, validate_document
from engine.definitions.yaml_document import Document, parse_yaml
from engine.domain.definition import AUTHORED, Length
from engine.errors import DefinitionError, StoreError
from engine.settings import SHIPPED_ROOT

SCENARIOS_FOLDER = SHIPPED_ROOT / "data" / "scenarios"
LENGTHS_FILE = "lengths.yaml"
FALLBACK_PACK = "everyday"

Entries = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], AfterValidator(check_entries)]


class Pack(ClosedEntry):
    """Content of one scenario pack's file.

    The encoder selects a pack by ``words``, the vocabulary of its field, and ``kinds``, the kinds of text it suits.
    """

    kinds: tuple[str, ...] = ()
    words: tuple[str, ...]
    subjects: Entries
    audiences: Entries
    forms: Entries


@dataclass(frozen=True, config=AUTHORED)
class SharedLength(Length):
    """A length of ``lengths.yaml``, for all models, or only for the kinds of text in ``kinds``."""

    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Packs:
    """All scenario packs of a folder by name, their shared lengths, and the lengths for some kinds of text."""

    packs: Mapping[str, Pack]
    lengths: tuple[Length, ...]
    lengths_of_kinds: Mapping[str, tuple[Length, ...]] = field(default_factory=dict)


# Cached for all runs of the process: parsing the YAML takes 70 ms.
@cache
def load_packs(folder: Path) -> Packs:
    """Load the scenario packs of a folder.

    Raises:
        DefinitionError: a file is not a pack, or the lengths or the fallback pack are missing.
        StoreError: a file cannot be read.
    """
    documents: dict[str, Document] = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            documents[path.name] = parse_yaml(str(path), path.read_bytes())
        except OSError as error:
            remedy = "Make it a file that this user may read, or remove it"
            raise StoreError(f"The scenario pack {path} cannot be read: {error.strerror}. {remedy}") from error
    lengths: tuple[SharedLength, ...] = ()
    if document := documents.pop(LENGTHS_FILE, None):
        lengths, _ = validate_document(document, tuple[SharedLength, ...])
    packs = {name.removesuffix(".yaml"): validate_document(document, Pack)[0] for name, document in documents.items()}
    if not lengths or FALLBACK_PACK not in packs:
        raise DefinitionError.of_file(str(folder), "not both", f"{LENGTHS_FILE} and {FALLBACK_PACK}.yaml")
    pairs = [(Length(length.name, length.min_words, length.max_words), length.kinds) for length in lengths]
    all_kinds = dict.fromkeys(kind for _, kinds in pairs for kind in kinds)
    return Packs(
        packs,
        tuple(length for length, kinds in pairs if not kinds),
        {kind: tuple(length for length, kinds in pairs if kind in kinds) for kind in all_kinds},
    )


def list_pack_names() -> list[str]:
    """Return the sorted names of the shipped packs."""
    return sorted(path.stem for path in SCENARIOS_FOLDER.glob("*.yaml") if path.name != LENGTHS_FILE)
