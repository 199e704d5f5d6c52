"""Opens the API of a place, in the form that its provider takes batches in."""

from engine.llm.batches.anthropic_wire import AnthropicWire
from engine.llm.batches.forms import Place
from engine.llm.batches.openai_wire import OpenAIWire
from engine.llm.batches.wire import Wire


def open_wire(place: Place, api_key: str | None) -> Wire:
    """See ``Wire``; its caller closes it. The first of a process imports litellm, which takes seconds."""
    return AnthropicWire(place, api_key) if place.form == "anthropic" else OpenAIWire(place, api_key)
