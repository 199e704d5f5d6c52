"""The embedded models: which are known by name, where their files lie, and which one a setting names."""

import hashlib
import importlib.util
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from engine.definitions.mistakes import Entry, validate_document
from engine.definitions.yaml_document import parse_yaml
from engine.errors import ModelNotFoundError
from engine.llm.gguf import read_head
from engine.settings import SHIPPED_ROOT, EmbeddedPlace, Style
from engine.text.formatting import format_bytes

EMBEDDED = "embedded"
LIST = SHIPPED_ROOT / "data" / "embedded_models.yaml"
CHAT_PARAMETERS = 1_000_000_000
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Packages(Entry):
    """The packages that have a file in parts: ``name`` with each part's number, and the digest of each one's wheel."""

    closed: ClassVar[bool] = True

    name: str
    version: str
    sha256: tuple[Sha256, ...]


class EmbeddedModel(Entry):
    """A model of the list, ``data/embedded_models.yaml``, whose comment says what each field is."""

    closed: ClassVar[bool] = True

    file: str
    bytes: int
    sha256: Sha256
    licence: str
    style: Style
    languages: frozenset[str]
    installed: str | None = None
    hub: str | None = None
    packages: Packages | None = None

    def find(self, folder: Path) -> Path | None:
        """The model's file, whole, in the folder of embedded models or in the package that has it; None: not there."""
        place = folder
        if self.installed is not None:
            spec = importlib.util.find_spec(self.installed)
            if spec is None or not spec.submodule_search_locations:
                return None
            place = Path(spec.submodule_search_locations[0])
        path = place / self.file
        # Its digest was checked before it took its name. A folder that may not be searched has none.
        with suppress(OSError):
            return path if path.is_file() and path.stat().st_size == self.bytes else None
        return None


@dataclass(frozen=True, slots=True)
class EmbeddedFile:
    """A GGUF file, how its model is asked, and the model of the list that it is: None for a file of the user's own."""

    path: Path
    name: str
    sha256: str
    style: Style
    listed: EmbeddedModel | None


@cache
def list_embedded_models() -> Mapping[str, EmbeddedModel]:
    """The list, by name; the first whose file is there is what ``embedded`` alone means."""
    document = parse_yaml(LIST.name, LIST.read_bytes())
    models, _ = validate_document(document, dict[str, EmbeddedModel])
    return models


def is_embedded(name: str) -> bool:
    """Whether a model's name asks for the embedded server: ``embedded``, or ``embedded/`` and a name or a path."""
    return name == EMBEDDED or name.startswith(f"{EMBEDDED}/")


def find_embedded(name: str, place: EmbeddedPlace) -> EmbeddedFile:
    """The file of an embedded model: ``embedded``, ``embedded/<name of the list>`` or ``embedded/<path>``.

    Raises:
        ModelNotFoundError: there is no such file, or it is not a GGUF file; the message says how to get it.
    """
    models, folder = list_embedded_models(), place.folder
    if name == EMBEDDED:
        for known, model in models.items():
            if path := model.find(folder):
                return _describe_listed(path, known, model, place)
        raise ModelNotFoundError("No embedded model is installed. Run 'make run' once: it installs one")
    given = name.removeprefix(f"{EMBEDDED}/")
    if listed := models.get(given):
        if path := listed.find(folder):
            return _describe_listed(path, given, listed, place)
        raise ModelNotFoundError(
            f"The file of {given} is not in {folder}. Get it ({format_bytes(listed.bytes)}): "
            f"'exemplars models get {given}'"
        )
    path = Path(given).expanduser()
    try:
        status = path.stat()
    except OSError as error:
        raise ModelNotFoundError(
            f"{name!r}: {path} cannot be read ({error.strerror}). Give 'embedded', embedded/<name> with one of "
            f"{', '.join(models)}, or embedded/<path of a GGUF file>"
        ) from None
    sha256, style = _read_file(path, status.st_mtime_ns, status.st_size)
    return EmbeddedFile(path, f"{EMBEDDED}/{path.name}", sha256, place.style or style, None)


def choose_model(names: Iterable[str], place: EmbeddedPlace) -> str:
    """The first of some models that can be asked: hosted, or embedded with its file there; else the last."""
    last = ""
    for last in names:
        if not is_embedded(last):
            return last
        try:
            find_embedded(last, place)
        except ModelNotFoundError:
            continue
        return last
    return last


def _describe_listed(path: Path, name: str, model: EmbeddedModel, place: EmbeddedPlace) -> EmbeddedFile:
    return EmbeddedFile(path, f"{EMBEDDED}/{name}", model.sha256, place.style or model.style, model)


# A run asks several times, and a file of gigabytes takes seconds to read.
@lru_cache(maxsize=16)
def _read_file(path: Path, _mtime_ns: int, _size: int) -> tuple[str, Style]:
    """The digest of a file, and how its model is asked: a small one has not learnt to follow a conversation."""
    head = read_head(path)
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    return sha256, "chat" if head.chat_template and head.parameters >= CHAT_PARAMETERS else "plain"
