"""Serves an embedded model, a GGUF file, from a child process that ends with the run."""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from engine.errors import ProviderUnavailableError
from engine.llm.client.prices import FREE
from engine.llm.client.request import Endpoint
from engine.llm.embedded.embedded_models import EMBEDDED, find_embedded
from engine.settings import EmbeddedPlace, Style
from engine.system.child_process import ChildServerError, run_child_server

SERVER = Path(__file__).with_name("embedded_server.py")
SLOTS = 8
# The in-context judge's ten examples a pole take about 1,100 tokens, a text up to 120.
CONTEXT_TOKENS: Mapping[Style, int] = {"plain": 2048, "chat": 4096}
START_SECONDS = 60.0
MAX_THREADS = 8
# Of llama.cpp's log: when, the level, perhaps what part of the server, and the function, once or twice.
_ERROR_LINE = re.compile(r"[\d.]+ E (?:\w+ +)?(?:\w+: ){1,2}(.*)")


def describe_embedded(name: str, place: EmbeddedPlace) -> Endpoint:
    """The endpoint of an embedded model before its server runs, and so without an address.

    Raises:
        ModelNotFoundError: as ``find_embedded``.
    """
    file = find_embedded(name, place)
    return Endpoint(
        name=f"{EMBEDDED}/{file.path.name}",
        model=f"{'openai' if file.style == 'chat' else 'text-completion-openai'}/{file.path.stem}",
        identity=f"{EMBEDDED}:{file.sha256}{'' if file.style == 'plain' else f':{file.style}'}",
        style=file.style,
        api_key="none",
        slots=SLOTS,
        price=FREE,
    )


@contextmanager
def serve_embedded(name: str, place: EmbeddedPlace) -> Iterator[Endpoint]:
    """Starts a model server on a free loopback port, yields its endpoint, and stops it when the block ends.

    The server also stops when this process dies, since the pipe to it then closes.

    Raises:
        ModelNotFoundError: there is no such model.
        ProviderUnavailableError: the server does not start.
    """
    file = find_embedded(name, place)
    path, context_tokens = file.path, CONTEXT_TOKENS[file.style]
    threads = max(1, min(MAX_THREADS, os.cpu_count() or 1))
    command = [sys.executable, str(SERVER), str(path), str(SLOTS), str(context_tokens), str(threads), file.style]
    # Threads that spin while they wait make calls up to twenty times slower on shared cores
    # (docs/decisions/000-measured.md).
    environment = {**os.environ, "GOMP_SPINCOUNT": "1000"}
    try:
        with run_child_server(command, environment, START_SECONDS) as address:
            yield replace(describe_embedded(name, place), api_base=f"{address}/v1")
    except ChildServerError as error:
        raise ProviderUnavailableError(
            f"The embedded server did not start with {path}: {_find_cause(error)}. Name a GGUF file of a model that "
            "llama.cpp knows, and that this machine has the memory for"
        ) from error


def _find_cause(error: ChildServerError) -> str:
    """What llama.cpp says is wrong: its first error, of which those that follow only say that it ends the start."""
    errors = [match[1] for line in error.lines if (match := _ERROR_LINE.match(line))] or [str(error)]
    cause = errors[0].removeprefix("error loading model: ").rstrip(".")
    if any("chat template" in line for line in errors):
        return f"its chat template cannot be read ({cause}). EXEMPLARS_SYNTH_STYLE=plain needs none"
    return cause
