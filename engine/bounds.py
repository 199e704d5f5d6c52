"""Bounds: how many tokens one call can take at most, so that its cost is known before it is made."""

import json
from dataclasses import dataclass

from engine.llm.reasoning import count_most_tokens
from engine.llm.request import Endpoint, Request

# What wraps the messages: roles, separators, the words around a schema. OpenAI counts 3 tokens a message and 3 a reply.
WRAPPING_TOKENS = 400


@dataclass(frozen=True, slots=True)
class Bound:
    """The most tokens of one call, and what they cost at list price; None where there is no price."""

    tokens_in: int
    tokens_out: int
    usd: float | None

    @property
    def tokens(self) -> int:
        """Prompt and reply together."""
        return self.tokens_in + self.tokens_out


def bound_call(request: Request, endpoint: Endpoint) -> Bound:
    """The most that one call can take.

    A tokenizer that works on bytes makes no more tokens of a text than it has bytes in UTF-8 (GPT-2's, section 2.2, and
    all that followed it; those of SentencePiece fall back on bytes). English has four bytes a token, so this is wide:
    it is set aside only while the call is in flight.
    """
    schema = len(json.dumps(request.schema, ensure_ascii=False).encode()) if request.schema else 0
    prompt = len((request.prompt.system or "").encode()) + len(request.prompt.user.encode())
    tokens_in = prompt + schema + WRAPPING_TOKENS
    tokens_out = count_most_tokens(request.max_tokens, request.thinking if endpoint.thinks else None)
    price = endpoint.price
    return Bound(tokens_in, tokens_out, None if price is None else price.bound(tokens_in, tokens_out))
