"""Says what is wrong with an answer that came and that litellm could not read."""

import json
import re
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from engine.text.formatting import shorten

SHOWN_CHARS = 80
_USE_ANOTHER = "Use a server, or a version of it, that answers in the form of OpenAI's chat completions"
_STREAM = (
    "streams its answer though it was not asked to",
    "Turn streaming off there, or use a server that answers whole",
)
NO_CHOICES = "gives no choices", _USE_ANOTHER
_NO_MESSAGE = "gives a choice without a message, or usage that is no object", _USE_ANOTHER
_KINDS = {list: "a list of parts", dict: "an object", str: "a text", type(None): "null", bool: "a truth value"}
# The text of a body that openai's client did not take for JSON, in litellm's message.
_RECEIVED = re.compile(r"Received: (.*)\. Check the reverse proxy", re.DOTALL)


def describe_malformed(causes: Sequence[BaseException], settings: str) -> tuple[str, str] | None:
    """What a provider's answer is like, as a clause after "it", and what to do; None where no answer came.

    Args:
        causes: the exception and all that led to it. litellm gives an answer that it cannot read the status 500, and
            only its causes tell such an answer from a server's own error.
        settings: the prefix of the environment variables that set the model.
    """
    import httpx
    import openai

    if any(isinstance(cause, httpx.TransportError | openai.APIConnectionError | OSError) for cause in causes):
        return None
    for cause in causes:
        if isinstance(cause, ValidationError):
            return _describe_field(cause), _USE_ANOTHER
        if isinstance(cause, json.JSONDecodeError):
            return _describe_body(cause.doc, settings)
        if isinstance(cause, LookupError | TypeError | AttributeError):
            return _NO_MESSAGE
    said = str(causes[0])
    if received := _RECEIVED.search(said):
        return _describe_body(received[1].strip("'\""), settings)
    return NO_CHOICES if "'choices'" in said else None


def _describe_field(error: ValidationError) -> str:
    first: Any = error.errors()[0]
    place, given = ".".join(str(part) for part in first["loc"]), first["input"]
    if place.endswith("_tokens"):
        return f"tells {place} as {shorten(repr(given), SHOWN_CHARS)}"
    return f"gives {place} as {_KINDS.get(type(given), 'a number')}"


def _describe_body(body: str, settings: str) -> tuple[str, str]:
    start = body.lstrip()
    if start.startswith(("data:", "event:")):
        return _STREAM
    address = f"Check {settings}_API_BASE: it has to be the address of the API, which often ends in /v1"
    if not start:
        return "gives an empty body", address
    what = "a web page" if start.startswith("<") else "what is no chat completion"
    return f"gives {what} ({shorten(' '.join(start.split()), SHOWN_CHARS)})", address
