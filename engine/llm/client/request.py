"""The data of a call to a model: the endpoint, the request, the reply, and the protocol of a client."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Protocol

from engine.definitions.effort import Thinking
from engine.llm.client.prices import Price
from engine.settings import Style

# The finish reason of a refused reply, as OpenAI names it.
REFUSED = "content_filter"
# Thoughts count toward max_tokens. litellm gives Anthropic's models budgets of 1,024, 2,048 and 4,096 tokens, and
# max_tokens must be larger (its constants, 1.110); OpenAI's models have no budget. A high ceiling costs nothing, and
# models that think even with thinking off need one too.
THINKING_TOKENS: Mapping[Thinking, int] = {"none": 2048, "low": 4096, "medium": 8192, "high": 16384}


@dataclass(frozen=True, slots=True)
class Prompt:
    """The text of a request: chat messages, or a document to be continued (``user`` alone).

    ``turns`` are presented as earlier messages: pairs of a user's message and the answer to it.
    """

    user: str
    system: str | None = None
    turns: tuple[tuple[str, str], ...] = ()

    @property
    def messages(self) -> tuple[tuple[str, str], ...]:
        """Return the messages in order, each with its role."""
        system = (("system", self.system),) if self.system else ()
        history = tuple(pair for question, answer in self.turns for pair in (("user", question), ("assistant", answer)))
        return (*system, *history, ("user", self.user))

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of the whole prompt, in hexadecimal."""
        texts = [self.system or "", *(text for turn in self.turns for text in turn), self.user]
        return hashlib.sha256("\0".join(texts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model that can be called. ``name`` is for people; litellm uses ``model`` and ``api_base``.

    ``identity`` distinguishes it from every other model in the keys of cached replies. ``slots`` is the number of calls
    that it serves at once, None if the provider decides.
    ``price`` is None if it is unknown. ``thinks`` is whether the model supports reasoning, set by its client.
    ``settings`` is the prefix of the environment variables that set this model. ``decides`` is whether it is called for
    decisions: it chooses among answers and writes no text. ``tokens_per_second`` is its estimated output over all calls
    together, None if it cannot be estimated before a call.
    """

    name: str
    model: str
    identity: str
    style: Style = "chat"
    api_base: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    slots: int | None = None
    price: Price | None = None
    thinks: bool = False
    settings: str = "EXEMPLARS_SYNTH"
    decides: bool = False
    tokens_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One call to a model. The last four fields are not sent.

    Args:
        max_tokens: for the answer; thoughts have an additional allowance.
        schema: the JSON schema of the answer.
        sampler: options of llama.cpp beyond those of OpenAI.
        logprobs: how many of the likeliest next tokens to report.
        questions: questions about the prompt's ``user`` for a model that decides, in the form of OpenAI's Decisions
            API; such a model gets only these two parts of the request.
        in_words: the prompt that describes the schema in words, for providers without schema support.
        label: the purpose of the call, such as a cell's id; it distinguishes requests with equal content.
        key: the key under which its reply is stored; ``ModelGateway`` sets it.
        judges: whether it requests a verdict on a text instead of a new text.
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
    questions: tuple[Mapping[str, object], ...] = ()
    in_words: Prompt | None = field(default=None, compare=False)
    label: str = field(default="", compare=False)
    key: str = field(default="", compare=False)
    judges: bool = field(default=False, compare=False)

    @property
    def form(self) -> Mapping[str, object] | tuple[Mapping[str, object], ...]:
        """Return the part sent next to the prompt: the schema or the questions; empty if there is neither."""
        return self.schema or self.questions

    def count_max_tokens(self, thinks: bool) -> int:
        """Return the maximum number of tokens of a reply, including thoughts if the model has them."""
        return self.max_tokens + (THINKING_TOKENS[self.thinking] if thinks else 0)

    def without_schema(self) -> "Request":
        """Return the request with its schema described in words; a request without a schema stays unchanged."""
        return replace(self, prompt=self.in_words or self.prompt, schema=None)

    def digest(self, identity: str) -> str:
        """Return the SHA-256 of its label, of ``Endpoint.identity`` and of all sent fields, in hexadecimal."""
        # Not by ``dataclasses.asdict``: its deep copy takes longer than the digest.
        sent = {name: getattr(self, name) for name in SENT}
        if not self.questions:
            del sent["questions"]
        sent["prompt"] = {"user": self.prompt.user, "system": self.prompt.system, "turns": self.prompt.turns}
        parts = [self.label, identity, json.dumps(sent, sort_keys=True, ensure_ascii=False)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer of a model. ``finish`` is the provider's finish reason (``stop``, ``length``, ``content_filter``).

    ``odds`` maps the likeliest next tokens to their log probabilities, if they were requested. ``cost_usd`` is None if
    the price is unknown. ``cached_tokens`` are the prompt tokens read from the provider's cache.
    """

    text: str
    finish: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None
    odds: dict[str, float] | None = None
    cached_tokens: int = 0


# The fields of a request that are sent to the model are all except these.
NOT_SENT = ("in_words", "label", "key", "judges")
SENT = tuple(item.name for item in fields(Request) if item.name not in NOT_SENT)


class Client(Protocol):
    """A client of a model: litellm in a run, a fake in the tests, or a wrapper of one that adds one concern."""

    endpoint: Endpoint

    async def complete(self, request: Request) -> Reply:
        """Return the reply to one request; for its errors see ``LitellmClient.complete``."""
