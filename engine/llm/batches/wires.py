"""Opens the API of a place, in the form that its provider takes batches in."""

from engine.errors import CredentialsError
from engine.llm.batches.anthropic_wire import AnthropicWire
from engine.llm.batches.forms import digest_key
from engine.llm.batches.openai_wire import OpenAIWire
from engine.llm.batches.wire import Place, Wire


def open_wire(place: Place, api_key: str | None) -> Wire:
    """The API of a place; its caller closes it. The first of a process imports litellm, which takes seconds.

    Args:
        api_key: the present one, by ``place.settings``; None where the environment has it.

    Raises:
        CredentialsError: the key is not the one by which its lines were queued, or there is none.
    """
    if digest_key(place.model, api_key) != place.key_digest:
        raise CredentialsError(
            f"{place.model} was asked by another key: a batch is seen by the account that submitted it alone. Set "
            f"{place.settings}_API_KEY to that key until its batches are over (SHA-256 begins with "
            f"{place.key_digest or 'nothing: there was none'})"
        )
    if place.form == "anthropic":
        return AnthropicWire(place, api_key)
    return OpenAIWire(place, api_key)
