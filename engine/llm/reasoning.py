"""Thinking: what a model is told of how much to think, in litellm's words, and the room that its thoughts take."""

from collections.abc import Mapping
from typing import Any

from engine.definitions.effort import Thinking

Efforts = Mapping[Thinking, str | None]

# Thoughts count toward max_tokens. litellm gives Anthropic's models budgets of 1,024, 2,048 and 4,096 tokens, below
# which max_tokens may not lie (its constants, 1.110); OpenAI's set no budget. A ceiling costs nothing, and what thinks
# whatever it is told needs one too.
THINKING_TOKENS: Mapping[Thinking, int] = {"none": 2048, "low": 4096, "medium": 8192, "high": 16384}


def read_efforts(litellm: Any, model: str, api_base: str | None = None) -> Efforts | None:
    """litellm's ``reasoning_effort`` for each amount of thinking, None for nothing said; no efforts, no thinking.

    A model that thinks unless it is told otherwise is asked for the least that it knows.
    """
    name, provider, *_ = litellm.get_llm_provider(model, api_base=api_base)
    parameters = litellm.get_supported_openai_params(model=name, custom_llm_provider=provider) or ()
    if "reasoning_effort" not in parameters or not litellm.supports_reasoning(name, provider):
        return None
    info = litellm.get_model_info(name, provider)
    least = [word for word in ("none", "minimal") if info.get(f"supports_{word}_reasoning_effort")]
    return {"none": least[0] if least else None, "low": "low", "medium": "medium", "high": "high"}


def count_most_tokens(max_tokens: int, thinking: Thinking | None) -> int:
    """The tokens that a reply may have, its thoughts too; ``thinking`` is None for a model that cannot."""
    return max_tokens + (THINKING_TOKENS[thinking] if thinking else 0)


def write_options(
    efforts: Efforts | None, thinking: Thinking, max_tokens: int, temperature: float | None
) -> dict[str, object]:
    """The options of a call that depend on thinking. ``max_tokens`` is what the answer itself may have.

    Who thinks is asked at its own temperature: Anthropic's models take no other than 1 then, OpenAI's none at all.
    """
    if efforts is None:
        return {"max_tokens": max_tokens, "temperature": temperature}
    options: dict[str, object] = {"max_tokens": count_most_tokens(max_tokens, thinking)}
    if thinking == "none":
        options["temperature"] = temperature
    if effort := efforts[thinking]:
        options["reasoning_effort"] = effort
    return options
