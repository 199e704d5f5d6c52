"""Asks each model that a run would ask once, and says what a run can expect of it; no text is kept."""

import os
import time
from collections.abc import AsyncIterator, Mapping
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
from engine.llm.endpoints import (
    check_prices,
    describe_endpoint,
    describe_judge,
    write_price_setting,
)
from engine.run.gateways import make_client
from engine.settings import Settings

Role = Literal["synth model", "judge", "synth model and judge"]
SchemaUse = Literal["followed", "in words", "not followed", "not asked for"]

ASKED = "Write one English sentence of about forty words on how to look after a bicycle."
# What a model goes on with that completes plain text.
BEGUN = "How to look after a bicycle. First of all,"
IN_WORDS = f'{ASKED} Answer with JSON and nothing else: {{"text": "the sentence"}}'
SCHEMA = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
    "additionalProperties": False,
}
# What a decision model is asked of such a sentence.
WRITTEN = "Wipe the chain and oil it every other week, and pump the tyres before a ride."
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
    """What came of one call to a model.

    Args:
        works: whether a run could use it.
        answered_by: the name that the answer gives; None where it gives none.
        schema: whether an answer keeps to a schema, or has to be asked for it in words.
        usd_per_million: of tokens in and out; None where no price is known.
        says: a sentence each, with what to do.
        usd_per_call: what each call costs besides its tokens.
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
    """Asks the models of a level one after the other, as often as it takes to find how they answer: three times at
    most.
    """
    try:
        synth, judge = describe_endpoint(settings, level), describe_judge(settings, level)
    except ExemplarsError as error:
        yield Checked("synth model", level.synth_model, works=False, says=(str(error),))
        return
    is_one = judge is not None and replace(judge, settings=synth.settings) == synth
    asked: list[tuple[Role, Endpoint]] = [("synth model and judge" if is_one else "synth model", synth)]
    if judge and not is_one:
        asked.append(("judge", judge))
    try:
        check_prices(settings, level)
        unpriced = ""
    except ExemplarsError as error:
        unpriced = str(error)
    for role, endpoint in asked:
        checked = await _check(role, endpoint, settings, level)
        checked = replace(checked, usd_per_call=endpoint.price.call_usd if endpoint.price else 0.0)
        if unpriced and checked.works and checked.usd_per_million is None:
            checked = replace(checked, works=False, says=(*checked.says, unpriced))
        yield checked


async def _check(role: Role, endpoint: Endpoint, settings: Settings, level: Level) -> Checked:
    price = (endpoint.price.input_usd * 1e6, endpoint.price.output_usd * 1e6) if endpoint.price else None
    begun = time.monotonic()
    try:
        async with AsyncExitStack() as stack:
            if is_embedded(endpoint.name):
                endpoint = stack.enter_context(serve_embedded(level.synth_model, settings.embedded_place))
            client = make_client(settings, endpoint)
            stack.push_async_callback(client.close)
            begun = time.monotonic()
            request, reply, seconds = await _ask(client, level.thinking if "synth" in role else "none")
    except ExemplarsError as error:
        took = time.monotonic() - begun
        return Checked(role, endpoint.name, works=False, usd_per_million=price, seconds=took, says=(str(error),))
    schema = "not asked for" if endpoint.style == "plain" else _read_schema(request, reply)
    speed = reply.completion_tokens / seconds if reply.completion_tokens and seconds else None
    secrets = find_secrets(endpoint.api_key, endpoint.api_base, os.environ)
    answered_by = redact(client.answered_by, secrets) if client.answered_by else None
    says = tuple(_advise(role, endpoint, schema, reply, answered_by))
    works = schema != "not followed" or (role == "judge" and not endpoint.decides)
    odds = bool(reply.odds)
    return Checked(role, endpoint.name, works, answered_by, schema, odds, price, speed, seconds, says)


async def _ask(client: LitellmClient, thinking: Thinking) -> tuple[Request, Reply, float]:
    """The first request whose answer is of use, its reply and the seconds that it took: with a schema and log
    probabilities, with a schema, or in words.
    """
    redacting = RedactingClient(client)
    whole = Request(
        Prompt(ASKED), MAX_TOKENS, 0.8, schema=SCHEMA, logprobs=LIKELIEST, thinking=thinking, in_words=Prompt(IN_WORDS)
    )
    if client.endpoint.style == "plain":
        whole = replace(whole, prompt=Prompt(BEGUN), schema=None)
    words = replace(whole.without_schema(), logprobs=None)
    requests = [whole, replace(whole, logprobs=None), words]
    if client.endpoint.decides:
        words = Request(Prompt(WRITTEN), MAX_TOKENS, 0.0, questions=QUESTIONS)
        requests = [words]
    for request in requests:
        begun = time.monotonic()
        try:
            reply = await redacting.complete(request)
        except RequestRefusedError as error:
            if isinstance(error, ContextTooLongError) or request is words:
                raise
            continue
        is_read = client.endpoint.style == "plain" or _read_schema(request, reply) != "not followed"
        if is_read or request is words:
            break
    return request, reply, time.monotonic() - begun


def _read_schema(request: Request, reply: Reply) -> SchemaUse:
    with suppress(UnreadableError):
        if request.questions:
            is_chosen = find_objects(reply.text)[-1].get("answer") in ANSWERS
            return "not asked for" if is_chosen else "not followed"
        if any(isinstance(found.get("text"), str) for found in find_objects(reply.text)):
            return "followed" if request.schema else "in words"
    return "not followed"


def _advise(role: Role, endpoint: Endpoint, schema: SchemaUse, reply: Reply, answered_by: str | None) -> list[str]:
    says = []
    if schema == "not followed" and endpoint.decides:
        says.append(
            "It chooses none of the answers that it is given, so none of its votes could be read. Take another judge "
            f"({endpoint.settings}_MODEL)"
        )
    elif schema == "not followed" and role == "judge":
        says.append(
            "It answers without the JSON that it was asked for: its votes are read from what it says, and questions of "
            "the author's stay unanswered"
        )
    elif schema == "not followed":
        says.append(
            "It answers, and not in the JSON that it was asked for, with a schema or in words: a run would reject all "
            f"its texts as unreadable. Take another model ({endpoint.settings}_MODEL), or more output tokens on its "
            "server"
        )
    elif schema == "in words":
        says.append("It keeps to no schema, so it is asked for JSON in words, and what cannot be read is rejected")
    bare = endpoint.model.rpartition("/")[2]
    if answered_by and bare not in answered_by and answered_by not in endpoint.model:
        says.append(
            f"The answer says that {answered_by} wrote it: what a run costs is reckoned by the price of {endpoint.name}"
        )
    if endpoint.price is None:
        says.append(f"Its price is not known: set {write_price_setting(endpoint)}, USD for a million tokens")
    tells = reply.prompt_tokens if endpoint.decides else reply.completion_tokens
    if not tells and not (endpoint.price and endpoint.price.is_by_call):
        says.append("It does not tell how many tokens a call took, so a call counts as the most that it can have cost")
    return says
