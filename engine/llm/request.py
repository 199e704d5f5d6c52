"""A call to a model as plain values: who is asked, what is asked, what came back."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from engine.definitions.effort import Thinking
from engine.llm.prices import Price

Style = Literal["chat", "plain"]

# The finish of a reply that the provider would not give, in OpenAI's word.
REFUSED = "content_filter"


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is sent: chat messages (``system`` and ``user``), or a document to go on with (``user`` alone)."""

    user: str
    system: str | None = None

    @property
    def sha256(self) -> str:
        """SHA-256 of the whole prompt, in hexadecimal."""
        return hashlib.sha256(f"{self.system or ''}\0{self.user}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model that can be asked. ``name`` is what people read, ``model`` and ``api_base`` what litellm takes.

    ``identity`` tells it from any other model in the keys of kept replies. ``slots`` is how many calls it works on at
    once, None where that is the provider's business; ``draws`` how many calls to make for one scenario and pole.
    ``price`` is None where no list has one. ``thinks`` is whether it can be asked to think; the client that is made for
    it finds out. ``settings`` begins the names of the variables that set it.
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
    """One call. ``schema`` is a JSON schema for the reply; ``logprobs`` how many likeliest next tokens to tell;
    ``sampler`` has options that llama.cpp takes beyond OpenAI's. ``max_tokens`` are the answer's, thoughts aside."""

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
    """What a model answered. ``finish`` is the provider's word (``stop``, ``length``, ``content_filter``).

    ``odds`` maps the likeliest next tokens to their log probabilities, where they were asked for. ``cost_usd`` is None
    where the price is not known. ``cached_tokens`` are those of the prompt that the provider had read before; ``model``
    is the one that answered, where it is not the one that was asked.
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
    """What can be asked: litellm in a run, a fake in the tests."""

    endpoint: Endpoint

    async def complete(self, request: Request) -> Reply:
        """One reply, asked once; see ``LitellmClient.complete``."""
