"""Opens the API of a place, in the form that its provider takes batches in."""

from engine.llm.batches.account import BatchAccount
from engine.llm.batches.anthropic_batches import AnthropicWire
from engine.llm.batches.openai_batches import OpenAIWire
from engine.llm.batches.provider import BatchProvider


def open_provider(place: BatchAccount, api_key: str | None) -> BatchProvider:
    """See ``BatchProvider``; its caller closes it. The first of a process imports litellm, which takes seconds."""
    return AnthropicWire(place, api_key) if place.form == "anthropic" else OpenAIWire(place, api_key)
