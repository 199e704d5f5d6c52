"""The values of a call to a model: the endpoint, the request, the reply, and the protocol of a client."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from engine.definitions.effort import Thinking
from engine.llm.prices import Price

Style = Literal["chat", "plain"]

# The finish reason of a refused reply, as OpenAI names it.
REFUSED = "content_filter"


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is sent: chat messages (``system`` and ``user``), or a document to be continued (``user`` alone)."""

    user: str
    system: str | None = None

    @property
    def sha256(self) -> str:
        """SHA-256 of the whole prompt, in hexadecimal."""
        return hashlib.sha256(f"{self.system or ''}\0{self.user}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model that can be called. ``name`` is for people; ``model`` and ``api_base`` are what litellm takes.

    ``identity`` distinguishes it from every other model in the keys of cached replies. ``slots`` is how many calls it
    serves at once, None if the provider decides; ``draws`` is how many calls to make for one scenario and pole.
    ``price`` is None if it is unknown. ``thinks`` is whether the model supports reasoning, as its client finds out.
    ``settings`` is the prefix of the environment variables that set this model.
    """

    name: str
    model: str
    identity: str
    style: Style = "chat"
    api_base: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    slots: int | None = None
    draws: int = 1
    price: Price | None = None
    thinks: bool = False
    settings: str = "EXEMPLARS_SYNTH"


@dataclass(frozen=True, slots=True)
class Request:
    """One call.

    ``schema`` is a JSON schema for the reply, ``logprobs`` the number of likeliest next tokens to report, ``sampler``
    has options of llama.cpp that OpenAI's API lacks. ``max_tokens`` is for the answer, without thoughts.
    """

    prompt: Prompt
    max_tokens: int
    temperature: float
    schema: Mapping[str, object] | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    sampler: Mapping[str, float] | None = None
    logprobs: int | None = None
    thinking: Thinking = "none"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered. ``finish`` is the provider's finish reason (``stop``, ``length``, ``content_filter``).

    ``odds`` maps the likeliest next tokens to their log probabilities, if they were requested. ``cost_usd`` is None if
    the price is unknown. ``cached_tokens`` are the prompt tokens that came from the provider's cache. ``model`` is the
    model that answered, if it is not the one that was called.
    """

    text: str
    finish: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None
    odds: dict[str, float] | None = None
    cached_tokens: int = 0
    model: str | None = None


class Client(Protocol):
    """A client of one endpoint: litellm in a run, a fake in the tests."""

    endpoint: Endpoint

    async def complete(self, request: Request) -> Reply:
        """Makes one call without retries; see ``LitellmClient.complete``."""
