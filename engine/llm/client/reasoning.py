"""Maps the effort's thinking budget to litellm's ``reasoning_effort`` and to the tokens that thoughts may take."""

from collections.abc import Mapping
from typing import Any

from engine.definitions.effort import Thinking

Efforts = Mapping[Thinking, str | None]

# Thoughts count toward max_tokens. litellm gives Anthropic's models budgets of 1,024, 2,048 and 4,096 tokens, and
# max_tokens must be larger (its constants, 1.110); OpenAI's models have no budget. A high ceiling costs nothing, and
# models that think even when told not to need one too.
THINKING_TOKENS: Mapping[Thinking, int] = {"none": 2048, "low": 4096, "medium": 8192, "high": 16384}


def read_efforts(litellm: Any, model: str, api_base: str | None = None) -> Efforts | None:
    """litellm's ``reasoning_effort`` for each amount of thinking; None for a model that cannot think.

    For ``none`` it is the least effort that the model supports, or None, which sends no ``reasoning_effort``.
    """
    name, provider, *_ = litellm.get_llm_provider(model, api_base=api_base)
    parameters = litellm.get_supported_openai_params(model=name, custom_llm_provider=provider) or ()
    if "reasoning_effort" not in parameters or not litellm.supports_reasoning(name, provider):
        return None
    info = litellm.get_model_info(name, provider)
    least = [word for word in ("none", "minimal") if info.get(f"supports_{word}_reasoning_effort")]
    return {"none": least[0] if least else None, "low": "low", "medium": "medium", "high": "high"}


def count_max_tokens(max_tokens: int, thinking: Thinking | None) -> int:
    """The most tokens that a reply may have, thoughts included; ``thinking`` is None for a model that cannot think."""
    return max_tokens + (THINKING_TOKENS[thinking] if thinking else 0)


def write_options(
    efforts: Efforts | None, thinking: Thinking, max_tokens: int, temperature: float | None
) -> dict[str, object]:
    """The litellm options of a call that depend on thinking. ``max_tokens`` is for the answer without thoughts.

    With thinking on, no temperature is sent: Anthropic's models then accept only 1, and OpenAI's accept none.
    """
    if efforts is None:
        return {"max_tokens": max_tokens, "temperature": temperature}
    options: dict[str, object] = {"max_tokens": count_max_tokens(max_tokens, thinking)}
    if thinking == "none":
        options["temperature"] = temperature
    if effort := efforts[thinking]:
        options["reasoning_effort"] = effort
    return options
