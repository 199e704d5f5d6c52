"""Reads what litellm made of a decision: the answers as the JSON of a vote, and the tokens."""

import json
from types import SimpleNamespace
from typing import Any

from engine.llm.client.request import REFUSED
from engine.llm.client.response import Usage, read_usage

LIKELIER = 0.5
OTHER_DECISION = (
    "is no answer to a decision in the form of its provider",
    "Use a server, or a version of it, that answers decisions as litellm's provider of this name does",
)


def read_decision(response: Any) -> tuple[str, str, Usage | None]:
    """The answers to the questions as the JSON of a vote, the finish reason, and the tokens as ``read_usage``.

    A choice stands there with its probability, where that is told, and a yes or no as the likelier of the two. A
    question that was refused is left out; a refused choice is a refusal of the whole.
    """
    said: dict[str, object] = {}
    for answer in response.answers:
        if answer.type == "choice":
            said[answer.name] = answer.choice
            told = {item.value: item.probability for item in answer.probabilities}.get(answer.choice)
            said |= {"probability": told} if told is not None and 0 <= told <= 1 else {}
        elif answer.type == "predicate" and 0 <= answer.probability <= 1:
            said[answer.name] = "yes" if answer.probability >= LIKELIER else "no"
    is_chosen = any(answer.type == "choice" for answer in response.answers)
    finish = "stop" if is_chosen else REFUSED
    return json.dumps(said, ensure_ascii=False), finish, _read_tokens(response.usage)


def _read_tokens(usage: Any) -> Usage | None:
    """The tokens under the names that a chat has for them; answers may take none."""
    details = usage.input_tokens_details
    cached = SimpleNamespace(cached_tokens=details.cached_tokens, cache_creation_tokens=details.cache_write_tokens)
    counts = {"prompt_tokens": usage.input_tokens, "completion_tokens": usage.output_tokens}
    return read_usage(SimpleNamespace(**counts, prompt_tokens_details=cached), answered=False)
