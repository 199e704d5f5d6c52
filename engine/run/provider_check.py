"""Ask each model that a run would ask, and describe its answers for a run. No text is kept."""

import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from typing import Literal

from engine.asking.cells import CHAT_EXTRA_TOKENS
from engine.asking.reply_json import UnreadableError, find_objects
from engine.definitions.effort import Level, Thinking
from engine.errors import ContextTooLongError, ExemplarsError, RequestRefusedError
from engine.llm.client.litellm_client import LitellmClient
from engine.llm.client.redaction import RedactingClient, find_secrets, redact
from engine.llm.client.request import Endpoint, Prompt, Reply, Request
from engine.llm.embedded.embedded_models import is_embedded, serve_embedded
from engine.llm.endpoints import check_prices, describe_endpoint, describe_judge, write_price_setting
from engine.run.gateways import make_client
from engine.settings import Settings

Role = Literal["synth model", "judge", "synth model and judge"]
SchemaUse = Literal["followed", "in words", "not followed", "not asked for"]

PROMPT = "Write one English sentence of about forty words on how to look after a bicycle."
# The document that a model in the plain style continues.
DOCUMENT = "How to look after a bicycle. First of all,"
IN_WORDS = f'{PROMPT} Answer with JSON and nothing else: {{"text": "the sentence"}}'
SCHEMA = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
    "additionalProperties": False,
}
# The text and the questions for a decision model.
TEXT = "Wipe the chain and oil it every other week, and pump the tyres before a ride."
ANSWERS = ("a bicycle", "something else")
QUESTIONS: tuple[Mapping[str, object], ...] = (
    {
        "type": "choice",
        "name": "answer",
        "instructions": "What is the text about?",
        "choices": [{"value": answer} for answer in ANSWERS],
    },
    {"type": "predicate", "name": "sense", "instructions": "Is it a sentence?"},
)
MAX_TOKENS, LIKELIEST = CHAT_EXTRA_TOKENS + 80, 5


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of a call to one model.

    Args:
        works: whether a run could use the model.
        answered_by: the model's name in the answer; None if the answer has none.
        schema: whether the answer follows the schema, or must be requested in words.
        usd_per_million: the price of input and output tokens; None if no price is known.
        says: sentences with findings and advice.
        usd_per_call: the price of each call in addition to its tokens.
    """

    role: Role
    model: str
    works: bool
    answered_by: str | None = None
    schema: SchemaUse = "not asked for"
    log_probabilities: bool = False
    usd_per_million: tuple[float, float] | None = None
    tokens_per_second: float | None = None
    seconds: float = 0.0
    says: tuple[str, ...] = ()
    usd_per_call: float = 0.0


async def check_models(settings: Settings, level: Level) -> AsyncIterator[Checked]:
    """Check the models of a level in turn, with up to three calls each to find how a model answers."""
    try:
        synth, judge = describe_endpoint(settings, level), describe_judge(settings, level)
    except ExemplarsError as error:
        yield Checked("synth model", level.synth_model, works=False, says=(str(error),))
        return
    is_one = judge is not None and replace(judge, settings=synth.settings) == synth
    both: dict[Role, Endpoint | None] = {"synth model and judge": synth}
    each: dict[Role, Endpoint | None] = {"synth model": synth, "judge": judge}
    unpriced = ""
    try:
        check_prices(settings, level)
    except ExemplarsError as error:
        unpriced = str(error)
    for role, endpoint in (both if is_one else each).items():
        if endpoint is None:
            continue
        checked = await _check(role, endpoint, settings, level)
        if unpriced and checked.works and checked.usd_per_million is None:
            checked = replace(checked, works=False, says=(*checked.says, unpriced))
        yield checked


async def _check(role: Role, endpoint: Endpoint, settings: Settings, level: Level) -> Checked:
    checked, begun = Checked(role, endpoint.name, works=False), time.monotonic()
    if price := endpoint.price:
        per_million = price.input_usd * 1e6, price.output_usd * 1e6
        checked = replace(checked, usd_per_million=per_million, usd_per_call=price.call_usd)
    try:
        async with AsyncExitStack() as stack:
            if is_embedded(endpoint.name):
                endpoint = stack.enter_context(serve_embedded(level.synth_model, settings))
            client = make_client(settings, endpoint)
            stack.push_async_callback(client.close)
            begun = time.monotonic()
            request, reply, seconds = await _ask(client, level.thinking if "synth" in role else "none")
    except ExemplarsError as error:
        return replace(checked, model=endpoint.name, seconds=time.monotonic() - begun, says=(str(error),))
    schema = "not asked for" if endpoint.style == "plain" else _read_schema(request, reply)
    secrets = find_secrets(endpoint.api_key, endpoint.api_base, os.environ)
    answered_by = redact(client.answered_by, secrets) if client.answered_by else None
    return replace(
        checked,
        model=endpoint.name,
        works=schema != "not followed" or (role == "judge" and not endpoint.decides),
        answered_by=answered_by,
        schema=schema,
        log_probabilities=bool(reply.odds),
        tokens_per_second=reply.completion_tokens / seconds if reply.completion_tokens and seconds else None,
        seconds=seconds,
        says=tuple(_advise(role, endpoint, schema, reply, answered_by)),
    )


async def _ask(client: LitellmClient, thinking: Thinking) -> tuple[Request, Reply, float]:
    """Return the first request with a usable answer, its reply and its seconds.

    The requests are, in this order: with a schema and log probabilities, with a schema, in words.
    """
    redacting, is_plain = RedactingClient(client), client.endpoint.style == "plain"
    requests = [Request(Prompt(TEXT), MAX_TOKENS, 0.0, questions=QUESTIONS)]
    if not client.endpoint.decides:
        prompt, schema = (Prompt(DOCUMENT), None) if is_plain else (Prompt(PROMPT), SCHEMA)
        whole = Request(
            prompt, MAX_TOKENS, 0.8, schema, logprobs=LIKELIEST, thinking=thinking, in_words=Prompt(IN_WORDS)
        )
        requests = [whole, replace(whole, logprobs=None), replace(whole.without_schema(), logprobs=None)]
    for request in requests:
        begun, is_last = time.monotonic(), request is requests[-1]
        try:
            reply = await redacting.complete(request)
        except RequestRefusedError as error:
            if isinstance(error, ContextTooLongError) or is_last:
                raise
            continue
        if is_last or is_plain or _read_schema(request, reply) != "not followed":
            break
    return request, reply, time.monotonic() - begun


def _read_schema(request: Request, reply: Reply) -> SchemaUse:
    with suppress(UnreadableError):
        if request.questions:
            is_chosen = find_objects(reply.text)[-1].get("answer") in ANSWERS
            return "not asked for" if is_chosen else "not followed"
        if any(isinstance(item.get("text"), str) for item in find_objects(reply.text)):
            return "followed" if request.schema else "in words"
    return "not followed"


def _advise(role: Role, endpoint: Endpoint, schema: SchemaUse, reply: Reply, answered_by: str | None) -> Iterator[str]:
    if schema == "not followed" and endpoint.decides:
        yield (
            "It chooses none of the answers that it is given, so none of its votes could be read. Take another judge "
            f"({endpoint.settings}_MODEL)"
        )
    elif schema == "not followed" and role == "judge":
        yield (
            "It answers without the JSON that it was asked for: its votes are read from its text, and the author's "
            "questions stay unanswered"
        )
    elif schema == "not followed":
        yield (
            "It does not answer in the JSON that it was asked for, with a schema or in words: a run would reject all "
            f"its texts as unreadable. Take another model ({endpoint.settings}_MODEL), or more output tokens on its "
            "server"
        )
    elif schema == "in words":
        yield ("It follows no schema, so it is asked for JSON in words, and replies that cannot be read are rejected")
    bare = endpoint.model.rpartition("/")[2]
    if answered_by and bare not in answered_by and answered_by not in endpoint.model:
        yield (
            f"The answer says that {answered_by} wrote it. The cost of a run is computed from {endpoint.name}'s price"
        )
    if endpoint.price is None:
        yield (f"Its price is not known: set {write_price_setting(endpoint)}, USD for a million tokens")
    tokens = reply.prompt_tokens if endpoint.decides else reply.completion_tokens
    if not tokens and not (endpoint.price and endpoint.price.is_by_call):
        yield ("It does not report how many tokens a call took, so each call counts at its maximum cost")
