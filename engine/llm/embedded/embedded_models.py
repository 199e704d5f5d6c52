"""The embedded models: the list of known models, their files, the model that a setting names, and its server."""

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
# The size of a billion parameters of 4 to 5 bits each.
CHAT_BYTES = 550_000_000
# More than the size of a file's head, which is mostly the vocabulary.
HEAD_BYTES = 64 * 1024 * 1024
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
SERVER = Path(__file__).with_name("embedded_server.py")
SLOTS = 8
# The in-context judge's ten examples a pole take about 1,100 tokens, a text up to 120.
CONTEXT_TOKENS: Mapping[Style, int] = {"plain": 2048, "chat": 4096}
START_SECONDS = 60.0
MAX_THREADS = 8
# On two cores a file of 460 MB writes eight texts at a time, and reads their prompts at the same time, at 50 tokens/s;
# each token requires reading all weights.
BYTES_PER_SECOND_AND_CORE = 11.5e9
# An error in llama.cpp's log: the time, the level, an optional part of the server, and the function, once or twice.
_ERROR_LINE = re.compile(r"[\d.]+ E (?:\w+ +)?(?:\w+: ){1,2}(.*)")


class Packages(ClosedEntry):
    """The packages with the parts of a file: a ``name`` pattern for the part's number, and the digest of each wheel."""

    name: str
    version: str
    sha256: tuple[Sha256, ...]


class RequantizedFile(ClosedEntry):
    """The requantized file that is made from the downloaded one and used in its place."""

    file: str
    bytes: int
    sha256: Sha256


class EmbeddedModel(ClosedEntry):
    """A model of the list ``data/embedded_models.yaml``. The comment in that file explains the fields."""

    file: str
    bytes: int
    sha256: Sha256
    licence: str
    style: Style
    languages: frozenset[str]
    installed: str | None = None
    hub: str | None = None
    packages: Packages | None = None
    made: RequantizedFile | None = None

    @property
    def digests(self) -> Mapping[str, str]:
        """Return the SHA-256 of each file that can serve the model, by name."""
        return {self.file: self.sha256} | ({self.made.file: self.made.sha256} if self.made else {})

    def find(self, folder: str | Path) -> Path | None:
        """Return the model's complete file in the folder of embedded models or in its package, or None without one.

        The requantized file is preferred to the downloaded one.
        """
        place = Path(folder)
        if self.made and (path := _find_complete(place / self.made.file, self.made.bytes)):
            return path
        if self.installed is not None:
            spec = importlib.util.find_spec(self.installed)
            if spec is None or not spec.submodule_search_locations:
                return None
            place = Path(spec.submodule_search_locations[0])
        return _find_complete(place / self.file, self.bytes)

    def advise_download(self, name: str) -> str:
        """Return the command that downloads the model's file."""
        if self.installed is not None:
            return f"python -m pip install {self.installed.replace('_', '-')}"
        return f"exemplars models get {name}"


@dataclass(frozen=True, slots=True)
class EmbeddedFile:
    """A GGUF file, the style of its prompts, and its entry in the list: None for a user's own file."""

    path: Path
    name: str
    sha256: str
    style: Style
    listed: EmbeddedModel | None


@cache
def list_embedded_models() -> Mapping[str, EmbeddedModel]:
    """Return the list, by name. ``embedded`` alone means the first model with a file on this machine."""
    document = parse_yaml(LIST.name, LIST.read_bytes())
    models, _ = validate_document(document, dict[str, EmbeddedModel])
    return models


def is_embedded(name: str) -> bool:
    """Return whether a model's name means the embedded server: ``embedded``, or ``embedded/`` and a name or a path."""
    return name == EMBEDDED or name.startswith(f"{EMBEDDED}/")


def find_embedded(name: str, settings: Settings) -> EmbeddedFile:
    """Find the file of an embedded model: ``embedded``, ``embedded/<name of the list>`` or ``embedded/<path>``.

    Raises:
        ModelNotFoundError: there is no such file, or it is not a GGUF file; the message says how to get it.
        InputError: the settings require a chat, and the file has no chat template.
    """
    models, given = list_embedded_models(), name.removeprefix(f"{EMBEDDED}/")
    candidates = models if name == EMBEDDED else {known: model for known, model in models.items() if known == given}
    for known, model in candidates.items():
        if path := model.find(settings.embedded_dir):
            style = settings.synth_style or model.style
            return EmbeddedFile(path, f"{EMBEDDED}/{known}", model.digests[path.name], style, model)
    if not candidates:
        return _describe_user_file(given, settings)
    known, model = next(iter(candidates.items()))
    command = model.advise_download(known)
    if name == EMBEDDED:
        raise ModelNotFoundError(f"No embedded model is in {settings.embedded_dir}. Get one: '{command}'")
    size = format_bytes(model.bytes)
    raise ModelNotFoundError(f"The file of {known} is missing or incomplete. Get it ({size}): '{command}'")


def choose_model(names: Iterable[str], settings: Settings) -> str:
    """Return the first usable model: hosted, or embedded with an existing file; else the last one."""
    last = ""
    for last in names:
        with suppress(ModelNotFoundError):
            if is_embedded(last):
                find_embedded(last, settings)
            return last
    return last


def describe_embedded(name: str, settings: Settings) -> Endpoint:
    """Return the endpoint of an embedded model before its server runs, and so without an address.

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
    """Start a model server on a free loopback port, yield its endpoint, and stop it when the block ends.

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
            "llama.cpp supports and that fits into this machine's memory"
        ) from error


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _count_threads() -> int:
    return max(1, min(MAX_THREADS, os.cpu_count() or 1))


def _find_complete(path: Path, size: int) -> Path | None:
    # The digest was checked before the file got its name. A folder without search permission counts as empty.
    with suppress(OSError):
        return path if path.is_file() and path.stat().st_size == size else None
    return None


def _describe_user_file(given: str, settings: Settings) -> EmbeddedFile:
    try:
        path = Path(given).expanduser()
        status = path.stat()
        cause = None if stat.S_ISREG(status.st_mode) else "not a file"
    except OSError as error:
        cause = error.strerror
    if cause is not None:
        models = list_embedded_models()
        near = find_near_spelling(given, list(models))
        raise ModelNotFoundError(
            f"{EMBEDDED}/{given} is no embedded model: {Path(given).absolute()} cannot be read ({cause}). Give one of "
            f"{', '.join(f'{EMBEDDED}/{known}' for known in models)}, or {EMBEDDED}/<path of a GGUF file>"
            + (f". Did you mean {EMBEDDED}/{near}?" if near else "")
        )
    sha256, is_chat = _read_file(path, status.st_mtime_ns, status.st_size)
    if settings.synth_style == "chat" and not is_chat:
        raise InputError(
            f"{path} has no chat template, so it cannot be asked in a chat. Unset EXEMPLARS_SYNTH_STYLE, or name a "
            "file that has one"
        )
    # Small models cannot follow a conversation.
    default: Style = "chat" if is_chat and status.st_size >= CHAT_BYTES else "plain"
    return EmbeddedFile(path, f"{EMBEDDED}/{path.name}", sha256, settings.synth_style or default, None)


# A run calls this several times, and a file of gigabytes takes seconds to read.
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
    """Return the first error in llama.cpp's log, since later errors are its consequences, or else the last line."""
    errors = [match[1] for line in error.lines if (match := _ERROR_LINE.match(line))]
    errors = errors or [*error.lines[-1:]] or [str(error)]
    cause = errors[0].removeprefix("error loading model: ").rstrip(".")
    if any("chat template" in line for line in errors):
        return f"its chat template cannot be read ({cause}). EXEMPLARS_SYNTH_STYLE=plain needs none"
    return cause
