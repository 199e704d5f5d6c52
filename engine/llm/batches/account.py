"""Providers that accept batches, the API form of each, and the account to which a model's lines are sent."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from typing import Literal, Self

from engine.errors import InputError
from engine.llm.client.prices import Price, find_price, find_provider, is_responses_model
from engine.llm.client.redaction import redact_credentials
from engine.llm.client.request import Endpoint
from engine.llm.embedded.embedded_models import is_embedded

Form = Literal["openai", "anthropic"]
FORMS: dict[str, Form] = {"openai": "openai", "azure": "openai", "anthropic": "anthropic"}
# The environment variables that litellm searches for a key, in its order.
KEY_VARIABLES = {
    "openai": ("OPENAI_API_KEY",),
    "azure": ("AZURE_OPENAI_API_KEY", "AZURE_API_KEY"),
    "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
}
DIGEST_DIGITS = 16


@dataclass(frozen=True, slots=True)
class BatchAccount:
    """The provider account to which lines are sent; all lines of a batch have the same account.

    Args:
        model: litellm's name of the model, with its provider.
        settings: the prefix of the environment variables that set the model.
        key_digest: the first 16 hexadecimal digits of the SHA-256 of the API key; empty without a key.
        price: the price of a call in a batch; None if it is unknown.
    """

    form: Form
    model: str
    api_base: str | None
    settings: str
    key_digest: str
    price: Price | None = None

    def to_json(self) -> str:
        """Return the account as JSON for the database; equal accounts have equal JSON."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, account_json: str) -> Self:
        """Parse an account from the JSON of ``to_json``."""
        fields = json.loads(account_json)
        return cls(**{**fields, "price": Price(**fields["price"]) if fields["price"] else None})


def find_account(endpoint: Endpoint) -> BatchAccount:
    """Return a model's batch account. The batch price comes from litellm's list, unless a setting gives a price.

    Raises:
        InputError: the model cannot be called in batches; the message says what to do.
    """
    model, provider = endpoint.model, find_provider(endpoint.model)
    if is_embedded(model):
        why = "a model on this machine has no batches, and costs nothing"
    elif endpoint.decides:
        why = "a model that is asked for decisions has no batches"
    elif endpoint.style == "plain":
        why = "a model that continues a document, and does not chat, has no batches"
    elif is_responses_model(model):
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
        price = find_price(model, batched=True) if endpoint.price == find_price(model) else endpoint.price
        digest = digest_key(model, endpoint.api_key)
        return BatchAccount(FORMS[provider], model, endpoint.api_base, endpoint.settings, digest, price)
    raise InputError(f"{endpoint.name} takes no batches: {why}. Ask it live, without --batch, or choose another model")


def digest_key(model: str, api_key: str | None) -> str:
    """Return the ``BatchAccount.key_digest`` of the given key or, without one, of the key in the environment."""
    names = KEY_VARIABLES.get(find_provider(model), ())
    key = api_key or next((os.environ[name] for name in names if os.environ.get(name)), "")
    return hashlib.sha256(key.encode()).hexdigest()[:DIGEST_DIGITS] if key else ""
