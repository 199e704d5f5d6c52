"""Says what is wrong with an answer that came and that litellm could not read."""

import json
import re
from collections.abc import Sequence

from pydantic import ValidationError

from engine.text.formatting import shorten

SHOWN_CHARS = 80
OTHER_FORM = (
    "is no chat completion in OpenAI's form",
    "Use a server, or a version of it, that answers in the form of OpenAI's chat completions",
)
_STREAM = (
    "streams its answer though it was not asked to",
    "Turn streaming off there, or use a server that answers whole",
)
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
        if isinstance(cause, json.JSONDecodeError):
            return _describe_body(cause.doc, settings)
        if isinstance(cause, ValidationError | LookupError | TypeError | AttributeError):
            return OTHER_FORM
    said = str(causes[0])
    if received := _RECEIVED.search(said):
        return _describe_body(received[1].strip("'\""), settings)
    return OTHER_FORM if "'choices'" in said else None


def _describe_body(body: str, settings: str) -> tuple[str, str]:
    start = " ".join(body.split())
    if start.startswith(("data:", "event:")):
        return _STREAM
    shown = f"begins with {shorten(start, SHOWN_CHARS)}" if start else "is empty"
    return shown, f"Check {settings}_API_BASE: it has to be the address of the API, which often ends in /v1"
