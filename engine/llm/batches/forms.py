"""Which providers take batches, in which form, and where the lines of a model go."""

import hashlib
import os

from engine.errors import InputError
from engine.llm.batches.wire import Form, Place
from engine.llm.client.prices import find_price, find_provider, is_responses_model
from engine.llm.client.redaction import redact_credentials
from engine.llm.client.request import Endpoint
from engine.llm.embedded.embedded_models import is_embedded

FORMS: dict[str, Form] = {"openai": "openai", "azure": "openai", "anthropic": "anthropic"}
# The variables under which litellm finds a key, in its order.
KEY_VARIABLES = {
    "openai": ("OPENAI_API_KEY",),
    "azure": ("AZURE_OPENAI_API_KEY", "AZURE_API_KEY"),
    "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
}
DIGEST_DIGITS = 16


def find_form(endpoint: Endpoint) -> Form:
    """The form in which a model's provider takes batches.

    Raises:
        InputError: it takes none here; the message says what to do.
    """
    name, provider = endpoint.name, find_provider(endpoint.model)
    if is_embedded(endpoint.model):
        why = "a model on this machine has no batches, and costs nothing"
    elif endpoint.decides:
        why = "a model that is asked for decisions has no batches"
    elif endpoint.style == "plain":
        why = "a model that continues a document, and does not chat, has no batches"
    elif is_responses_model(endpoint.model):
        why = "it is asked by OpenAI's Responses API, and batches take chat completions"
    elif provider not in FORMS:
        why = (
            "batches go to OpenAI, to Azure and to Anthropic, and as openai/<model> with "
            f"{endpoint.settings}_API_BASE to a gateway that serves /v1/files and /v1/batches"
        )
    elif endpoint.api_base and redact_credentials(endpoint.api_base) != endpoint.api_base:
        why = (
            f"its address is kept with its lines, and has a secret in it: set {endpoint.settings}_API_KEY instead, "
            f"and {endpoint.settings}_API_BASE without it"
        )
    else:
        return FORMS[provider]
    raise InputError(f"{name} takes no batches: {why}. Ask it live, without --batch, or choose another model")


def find_place(endpoint: Endpoint) -> Place:
    """Where a model's lines go, with the price of a call in a batch: by litellm's list, unless a setting says a price.

    Raises:
        InputError: it takes no batches.
    """
    form, model = find_form(endpoint), endpoint.model
    price = find_price(model, batched=True) if endpoint.price == find_price(model) else endpoint.price
    digest = digest_key(model, endpoint.api_key)
    return Place(form, model, endpoint.api_base, endpoint.settings, digest, price)


def digest_key(model: str, api_key: str | None) -> str:
    """The ``Place.key_digest`` of a model's key: of the given one or, without it, of the environment's."""
    names = KEY_VARIABLES.get(find_provider(model), ())
    key = api_key or next((os.environ[name] for name in names if os.environ.get(name)), "")
    return hashlib.sha256(key.encode()).hexdigest()[:DIGEST_DIGITS] if key else ""
