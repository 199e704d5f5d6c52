"""A call to a model as plain values: who is asked, what is asked, what came back."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
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
    """One call to a model. The last three fields are not sent.

    Args:
        max_tokens: for the answer; thoughts have room besides.
        schema: the JSON schema of the answer.
        sampler: options that llama.cpp takes beyond OpenAI's.
        logprobs: how many of the likeliest next tokens to tell.
        in_words: the prompt that asks for the schema in words, for providers that take none.
        label: what is asked for, such as a cell's id; it tells apart two requests of the same words.
        key: what its reply is kept under; ``ModelGateway`` sets it.
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
    in_words: Prompt | None = field(default=None, compare=False)
    label: str = field(default="", compare=False)
    key: str = field(default="", compare=False)

    def without_schema(self) -> "Request":
        """The request with its schema asked for in words; one without a schema as it is."""
        return replace(self, prompt=self.in_words or self.prompt, schema=None)

    def digest(self, identity: str) -> str:
        """SHA-256 of its label, of who is asked (``Endpoint.identity``) and of all that is sent, in hexadecimal."""
        sent = asdict(self)
        for name in ("in_words", "label", "key"):
            del sent[name]
        parts = [self.label, identity, json.dumps(sent, sort_keys=True, ensure_ascii=False)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


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
    """What can be asked: litellm in a run, a fake in the tests, or one of them in a wrapper that adds one concern."""

    endpoint: Endpoint

    async def complete(self, request: Request) -> Reply:
        """The reply to one request; see ``LitellmClient.complete`` for what it raises."""
