"""Read litellm's response objects: text or decision, plausible token counts, or the error in an answer."""

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from engine.llm.client.request import REFUSED
from engine.text.formatting import shorten

# No model processes as many in one call; a larger number would also not fit the columns of a database.
MOST_TOKENS = 1_000_000_000
SHOWN_CHARS = 80
OTHER_FORM = (
    "is no chat completion in OpenAI's form",
    "Use a server, or a version of it, that answers in the form of OpenAI's chat completions",
)
OTHER_DECISION = (
    "is no answer to a decision in the form of its provider",
    "Use a server, or a version of it, that answers decisions as litellm's provider of this name does",
)
LIKELIER = 0.5
CHAT_NAMES = "prompt_tokens", "completion_tokens", "cache_creation_tokens"
DECISION_NAMES = "input_tokens", "output_tokens", "cache_write_tokens"
# The part of litellm's message with a body that openai's client did not recognise as JSON.
_RECEIVED = re.compile(r"Received: (.*)\. Check the reverse proxy", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens of one call; ``cached`` and ``written`` are parts of the prompt."""

    tokens_in: int
    tokens_out: int
    cached: int = 0
    written: int = 0


def read_choice(choice: Any) -> tuple[str, str]:
    """Return the text of a chat completion's choice, and its finish reason.

    The text is the content and the arguments of tool calls. If both are empty, as with servers that treat a whole reply
    as thoughts, it is the thoughts, unless they were cut off before an answer.
    """
    finish, message = str(choice.finish_reason or "stop"), choice.message
    refusal = getattr(message, "refusal", None)
    if refusal and not message.content:
        # With a schema, OpenAI's models put a refusal into a separate field.
        return str(refusal), REFUSED
    parts = [part for part in (message.content or "", *_list_arguments(message)) if part.strip()]
    if parts or finish == "length":
        return "\n".join(parts), finish
    return getattr(message, "reasoning_content", None) or "", finish


def read_decision(response: Any) -> tuple[str, str, Usage | None]:
    """Return the answers to the questions as the JSON of a vote, the finish reason, and the tokens as ``read_usage``.

    A choice is stored with its probability, if it is reported, and a yes or no as the likelier of the two. A refused
    question is left out; a refused choice is a refusal of the whole.
    """
    vote: dict[str, object] = {}
    for answer in response.answers:
        if answer.type == "choice":
            vote[answer.name] = answer.choice
            probability = {item.value: item.probability for item in answer.probabilities}.get(answer.choice)
            vote |= {"probability": probability} if probability is not None and 0 <= probability <= 1 else {}
        elif answer.type == "predicate" and 0 <= answer.probability <= 1:
            vote[answer.name] = "yes" if answer.probability >= LIKELIER else "no"
    is_chosen = any(answer.type == "choice" for answer in response.answers)
    finish = "stop" if is_chosen else REFUSED
    return json.dumps(vote, ensure_ascii=False), finish, read_usage(response.usage, False, DECISION_NAMES)


def read_usage(usage: Any, answered: bool, names: tuple[str, str, str] = CHAT_NAMES) -> Usage | None:
    """Return the tokens of a call; None if they are missing or implausible.

    Args:
        answered: whether the reply has text: 0 reply tokens then mean a missing count.
        names: the field names of the tokens in, the tokens out, and the tokens in that were written to a cache.
    """
    # litellm turns texts such as "400" into numbers, and missing counts into 0.
    tokens_in, tokens_out = _read_count(usage, names[0]), _read_count(usage, names[1])
    if not tokens_in or tokens_out is None or (answered and not tokens_out):
        return None
    details = getattr(usage, f"{names[0]}_details", None)
    # litellm stores the prompt tokens read from and written to the cache here, for every provider.
    cached, written = (_read_count(details, name) or 0 for name in ("cached_tokens", names[2]))
    if cached + written > tokens_in:
        cached = written = 0
    return Usage(tokens_in, tokens_out, cached, written)


def read_odds(choice: Any) -> dict[str, float] | None:
    """Return the log probabilities of the likeliest first tokens, from llama.cpp's form of the completions API."""
    content = getattr(getattr(choice, "logprobs", None), "content", None)
    if not content:
        return None
    first = content[0] if isinstance(content[0], dict) else content[0].model_dump()
    return {str(item["token"]): float(item["logprob"]) for item in first.get("top_logprobs", ())}


def mend_unicode(text: str) -> str:
    """Replace lone surrogates, which cannot be encoded in a file, by U+FFFD, which the screening rejects."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def describe_malformed(causes: Sequence[BaseException], settings: str) -> tuple[str, str] | None:
    """Return the defect of a provider's answer, as a clause after "it", and the remedy; None if there was no answer.

    Args:
        causes: the exception and all its causes. litellm gives the status 500 to an answer that it cannot read, and
            only the causes distinguish such an answer from a server's own error.
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
    message = str(causes[0])
    if received := _RECEIVED.search(message):
        return _describe_body(received[1].strip("'\""), settings)
    return OTHER_FORM if "'choices'" in message else None


def _list_arguments(message: Any) -> Iterator[str]:
    calls = [call.function for call in getattr(message, "tool_calls", None) or ()]
    for function in (*calls, getattr(message, "function_call", None)):
        arguments = getattr(function, "arguments", None)
        if isinstance(arguments, str):
            yield arguments


def _read_count(usage: Any, name: str) -> int | None:
    """Return a count of tokens, 0 if it is missing; None if the value is not a possible count."""
    count = getattr(usage, name, 0) or 0
    if not isinstance(count, int | float) or not math.isfinite(count) or not 0 <= count <= MOST_TOKENS:
        return None
    return int(count)


def _describe_body(body: str, settings: str) -> tuple[str, str]:
    start = " ".join(body.split())
    shown = f"begins with {shorten(start, SHOWN_CHARS)}" if start else "is empty"
    return shown, f"Check {settings}_API_BASE: it has to be the address of the API, which often ends in /v1"
