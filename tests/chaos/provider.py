"""The provider of the rounds: it plays a script of faults on the wire itself, and keeps a ledger of all calls."""

import asyncio
import hashlib
import json
import math
import re
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from email.utils import formatdate
from typing import Literal

import uvicorn
from chaos.faults import Fault, Outage, Script
from fakes.provider import Behaviour, Provider, answer, is_vote, listen, read_prompt, run_server, wrap
from fastapi import Request
from starlette.types import Message, Receive, Scope, Send

Kind = Literal["cell", "subjects", "vote"]
ANSWERED = "answered"
# The client went away before it had its answer.
GONE = "gone"
MODEL = "openai/gpt-4.1-mini"
# What a token of it costs: of a prompt, of one that was read before, of a reply.
USD = (0.4e-6, 0.1e-6, 1.6e-6)
DRIP_SECONDS = 1.0
RETRY_AFTER_SECONDS = 1
CHARS_PER_TOKEN = 4
# How engine/asking/templates/words_only.jinja begins.
IN_WORDS = "\n\nAnswer with one JSON object and nothing else"
DOWN: Fault = "error_503"
TOO_LONG = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens."
# Status, type and code, and what is said, as OpenAI, Anthropic and OpenRouter say it.
REFUSALS: Mapping[Fault, tuple[int, str, str, str]] = {
    "limited": (429, "requests", "rate_limit_exceeded", "Rate limit reached for requests."),
    "limited_seconds": (429, "tokens", "rate_limit_exceeded", "Rate limit reached for tokens."),
    "limited_date": (429, "tokens", "rate_limit_exceeded", "Rate limit reached for tokens."),
    "error_500": (500, "server_error", "server_error", "The server had an error while processing your request."),
    "error_503": (503, "server_error", "overloaded", "The engine is currently overloaded."),
    "error_529": (529, "overloaded_error", "overloaded_error", "Overloaded"),
    "policy": (400, "invalid_request_error", "content_policy_violation", "Your request was rejected."),
    "too_long": (400, "invalid_request_error", "context_length_exceeded", TOO_LONG),
    "wrong_key": (401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided: test."),
    "no_model": (404, "invalid_request_error", "model_not_found", "The model does not exist."),
    "quota_429": (429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota."),
    "quota_402": (402, "insufficient_credits", "402", "Insufficient credits. Add more to go on."),
}
# Of which not all is sent.
BROKEN: tuple[Fault, ...] = ("reset_before", "reset_middle", "cut_body")
HTML = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><center>nginx</center></body>\r\n</html>\r\n"


@dataclass(frozen=True, slots=True)
class Entry:
    """One call. ``fate`` is ``answered``, a fault, or ``gone``; ``begun`` and ``ended`` are seconds since the epoch.

    ``sent`` is the digest of the prompt, ``digest`` that of the prompt without the words that may stand in for its
    schema: a row's ``prompt_sha256`` is one of the two. ``text_sha256`` is the content's. A call is billed when its
    whole answer was sent.
    """

    begun: float
    ended: float
    digest: str
    sent: str
    kind: Kind
    attempt: int
    fate: str
    billed: bool = False
    cost_usd: float = 0.0
    text_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent, and what it costs where all of it is."""

    status: int
    data: bytes
    headers: Mapping[str, str]
    cost_usd: float = 0.0
    text_sha256: str = ""


class ChaosProvider(Provider):
    """``entries`` are the calls that have ended; one is there before its answer goes out, so no paid one is missing."""

    model = MODEL

    def __init__(self, script: Script) -> None:
        super().__init__(Behaviour())
        self.script = script
        self.entries: list[Entry] = []
        self._attempts: Counter[str] = Counter()
        self._outages = list(script.outages)
        self._away_until = 0.0
        self.server: uvicorn.Server
        self.port = 0

    def listens(self) -> bool:
        """Whether anybody listens at its port; nobody does during an outage."""
        with socket.socket() as caller:
            return caller.connect_ex(("127.0.0.1", self.port)) == 0

    async def play(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await Request(scope, receive).json()
        begun, prompt = time.time(), read_prompt(body)
        self.bodies.append(body)
        self._begin_outages()
        sent, digest = (hashlib.sha256(text.encode()).hexdigest() for text in (prompt, prompt.split(IN_WORDS)[0]))
        self._attempts[digest] += 1
        attempt = self._attempts[digest]
        fault = DOWN if begun < self._away_until else self.script.choose(digest, attempt, len(self.bodies))
        gone = asyncio.ensure_future(receive())
        seconds = self.script.choose_seconds(digest, attempt, fault)
        await asyncio.wait({gone}, timeout=None if fault == "hang" else seconds)
        made = self._answer(fault, body["model"], prompt)
        parts = divide(fault, made)
        for part in parts[:-1]:
            await send(part)
            if fault == "drip":
                await asyncio.wait({gone}, timeout=DRIP_SECONDS)
            if gone.done():
                break
        other: Kind = "subjects" if re.search(r"Propose \d+ subjects", prompt) else "cell"
        kind = "vote" if is_vote(prompt) else other
        entry = Entry(begun, time.time(), digest, sent, kind, attempt, fault or ANSWERED)
        if gone.done():
            self.entries.append(replace(entry, fate=GONE))
            return
        if made.text_sha256 and fault not in BROKEN:
            entry = replace(entry, billed=True, cost_usd=made.cost_usd, text_sha256=made.text_sha256)
        self.entries.append(entry)
        if parts:
            await send(parts[-1])
        if fault in ("reset_before", "reset_middle"):
            self._reset(scope["client"])
            await gone
        gone.cancel()

    def _answer(self, fault: Fault | None, model: str, prompt: str) -> Answer:
        if fault == "error_502":
            return Answer(502, HTML, {"content-type": "text/html"})
        if fault is not None and fault in REFUSALS:
            return self._refuse(fault)
        style = Behaviour(style="german" if fault == "german" else "prose")
        text = self.vote(prompt)[0] if is_vote(prompt) else answer(prompt, style)[0]
        self.note_written(prompt, text)
        text = spoil(fault, text)
        prompt_tokens, tokens = len(prompt.encode()) // CHARS_PER_TOKEN, len(text) // CHARS_PER_TOKEN
        finish = {"cut_reply": "length", "filtered": "content_filter"}.get(fault or "", "stop")
        body = wrap(model, text, finish, prompt_tokens, tokens)
        if fault == "refusal":
            text = "I'm sorry, I can't help with that."
            body["choices"][0]["message"] |= {"content": None, "refusal": text}
        if fault == "no_choices":
            body["choices"] = []
        cached = prompt_tokens // 2 if self.script.draw("cached", prompt) < self.script.cached else 0
        if cached:
            body["usage"]["prompt_tokens_details"] = {"cached_tokens": cached}
        cost_usd = USD[0] * (prompt_tokens - cached) + USD[1] * cached + USD[2] * tokens
        data = json.dumps(body, ensure_ascii=False).encode()
        return Answer(200, data, {}, cost_usd, hashlib.sha256(text.encode()).hexdigest())

    def _refuse(self, fault: Fault) -> Answer:
        status, kind, code, message = REFUSALS[fault]
        body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
        # A date has whole seconds.
        date = formatdate(math.ceil(time.time() + RETRY_AFTER_SECONDS), usegmt=True)
        after = {"limited_seconds": str(RETRY_AFTER_SECONDS), "limited_date": date}.get(fault)
        return Answer(status, json.dumps(body).encode(), {"retry-after": after} if after else {})

    def _begin_outages(self) -> None:
        for outage in [item for item in self._outages if len(self.bodies) >= item.first]:
            self._outages.remove(outage)
            if outage.refused:
                self._stop_listening(outage)
            else:
                self._away_until = time.time() + outage.seconds

    def _stop_listening(self, outage: Outage) -> None:
        for listening in self.server.servers:
            listening.close()
        self._reset()
        loop = asyncio.get_running_loop()
        loop.call_later(outage.seconds, lambda: loop.create_task(self.server.startup([listen(self.port)])))

    def _reset(self, client: tuple[str, int] | None = None) -> None:
        """Ends a client's connection with RST, all where none is named."""
        for connection in list(self.server.server_state.connections):
            if client in (None, getattr(connection, "client", None)):
                sock = connection.transport.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.transport.abort()


@contextmanager
def serve_chaos(script: Script) -> Iterator[ChaosProvider]:
    provider = ChaosProvider(script)
    with run_server(provider.play) as (provider.server, provider.port):
        provider.url = f"http://127.0.0.1:{provider.port}/v1"
        yield provider


def divide(fault: Fault | None, made: Answer) -> list[Message]:
    """What is sent of an answer, in parts. Where something lacks at the end, the server closes the connection."""
    if fault == "reset_before":
        return []
    headers = {"content-type": "application/json", **made.headers, "content-length": str(len(made.data))}
    pairs = [(name.encode(), text.encode()) for name, text in headers.items()]
    sent = made.data[: len(made.data) * 3 // 4] if fault in BROKEN else made.data
    parts = [bytes([byte]) for byte in sent] if fault == "drip" else [sent]
    last = None if fault in BROKEN else len(parts) - 1
    return [
        {"type": "http.response.start", "status": made.status, "headers": pairs},
        *(
            {"type": "http.response.body", "body": part, "more_body": number != last}
            for number, part in enumerate(parts)
        ),
    ]


def spoil(fault: Fault | None, text: str) -> str:
    """The content after a fault of the model itself."""
    if fault in ("empty", "no_choices", "filtered", "refusal"):
        return ""
    if fault == "cut_reply":
        return text[: len(text) // 2]
    if fault == "not_json":
        return "Sure! Here is what you asked for. " + re.sub(r"[{}\[\]]", "", text)
    told = json.loads(text)
    if fault == "wrong_keys":
        told = {"items": [{"content": item} for item in told.values()]}
    if fault == "extra_fields":
        told |= {"confidence": 0.97, "notes": "as asked"}
    return json.dumps(told, ensure_ascii=False)
