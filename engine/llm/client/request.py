"""The values of a call to a model: the endpoint, the request, the reply, and the protocol of a client."""

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
# models that think even when told not to need one too.
THINKING_TOKENS: Mapping[Thinking, int] = {"none": 2048, "low": 4096, "medium": 8192, "high": 16384}


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is sent: chat messages, or a document to be continued (``user`` alone).

    ``turns`` are what was said before, as it were: pairs of a user's message and the answer to it.
    """

    user: str
    system: str | None = None
    turns: tuple[tuple[str, str], ...] = ()

    @property
    def messages(self) -> tuple[tuple[str, str], ...]:
        """The messages in order, each with its role."""
        system = (("system", self.system),) if self.system else ()
        said = tuple(pair for asked, answer in self.turns for pair in (("user", asked), ("assistant", answer)))
        return (*system, *said, ("user", self.user))

    @property
    def sha256(self) -> str:
        """SHA-256 of the whole prompt, in hexadecimal."""
        texts = [self.system or "", *(text for turn in self.turns for text in turn), self.user]
        return hashlib.sha256("\0".join(texts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model that can be called. ``name`` is for people; ``model`` and ``api_base`` are what litellm takes.

    ``identity`` distinguishes it from every other model in the keys of cached replies. ``slots`` is how many calls it
    serves at once, None if the provider decides.
    ``price`` is None if it is unknown. ``thinks`` is whether the model supports reasoning, as its client finds out.
    ``settings`` is the prefix of the environment variables that set this model. ``decides`` is whether it is asked for
    decisions: it chooses among answers, and writes nothing. ``tokens_per_second`` is about how many it writes, of all
    calls together, where that can be told before it is asked.
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
        max_tokens: for the answer; thoughts have room besides.
        schema: the JSON schema of the answer.
        sampler: options that llama.cpp takes beyond OpenAI's.
        logprobs: how many of the likeliest next tokens to tell.
        questions: what a model that decides is asked of the prompt's ``user``, each in the form of OpenAI's Decisions
            API; it has no other part of the request but these two.
        in_words: the prompt that asks for the schema in words, for providers that take none.
        label: what is asked for, such as a cell's id; it tells apart two requests of the same words.
        key: what its reply is kept under; ``ModelGateway`` sets it.
        judges: whether it asks for a verdict on a text, and for no new one.
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
        """What is sent beside the prompt: the schema, or the questions; empty where there is neither."""
        return self.schema or self.questions

    def count_max_tokens(self, thinks: bool) -> int:
        """The most tokens that a reply may have, with room for thoughts where the model has some."""
        return self.max_tokens + (THINKING_TOKENS[self.thinking] if thinks else 0)

    def without_schema(self) -> "Request":
        """The request with its schema asked for in words; one without a schema as it is."""
        return replace(self, prompt=self.in_words or self.prompt, schema=None)

    def digest(self, identity: str) -> str:
        """SHA-256 of its label, of who is asked (``Endpoint.identity``) and of all that is sent, in hexadecimal."""
        # By hand: ``dataclasses.asdict`` copies all of it, which takes longer than the digest.
        sent = {name: getattr(self, name) for name in SENT}
        if not self.questions:
            del sent["questions"]
        sent["prompt"] = {"user": self.prompt.user, "system": self.prompt.system, "turns": self.prompt.turns}
        parts = [self.label, identity, json.dumps(sent, sort_keys=True, ensure_ascii=False)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model answered. ``finish`` is the provider's finish reason (``stop``, ``length``, ``content_filter``).

    ``odds`` maps the likeliest next tokens to their log probabilities, if they were requested. ``cost_usd`` is None if
    the price is unknown. ``cached_tokens`` are the prompt tokens that came from the provider's cache.
    """

    text: str
    finish: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None
    odds: dict[str, float] | None = None
    cached_tokens: int = 0


# What of a request reaches the model.
NOT_SENT = ("in_words", "label", "key", "judges")
SENT = tuple(item.name for item in fields(Request) if item.name not in NOT_SENT)


class Client(Protocol):
    """What can be asked: litellm in a run, a fake in the tests, or one of them in a wrapper that adds one concern."""

    endpoint: Endpoint

    async def complete(self, request: Request) -> Reply:
        """The reply to one request; see ``LitellmClient.complete`` for what it raises."""
